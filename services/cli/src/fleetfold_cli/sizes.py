"""Sizes as people write them: `8GiB`, `512 MB`, `1.5TiB`."""

import re
from decimal import Decimal

import typer

_UNITS = {"B": 1} | {
    f"{prefix}{suffix}": base**power
    for suffix, base in (("iB", 1024), ("B", 1000))
    for power, prefix in enumerate("KMGT", start=1)
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_BY_LOWER_CASE = {unit.lower(): size for unit, size in _UNITS.items()}


def parse_size(text: str) -> int:
    """Bytes. A number alone is bytes; `KiB` counts by 1024, `KB` by 1000.

    Raises:
        typer.BadParameter: it is no size, or no whole number of bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    unit_bytes = _BY_LOWER_CASE.get((match[2] or "B").lower()) if match else None
    if match is None or unit_bytes is None:
        raise typer.BadParameter(f"{text!r} is no size; write it as 8GiB, with one of {', '.join(_UNITS)}")
    size = Decimal(match[1]) * unit_bytes
    if size != int(size):
        raise typer.BadParameter(f"{text!r} is no whole number of bytes")
    return int(size)


def format_size(size_bytes: int) -> str:
    """`24.0 GiB`: in the largest unit that leaves a number of 1 or more."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes >= _UNITS[unit]:
            return f"{size_bytes / _UNITS[unit]:.1f} {unit}"
    return f"{size_bytes} B"
