"""Times as people write them: `2026-03-14T12:00`, `15m`, `2h`."""

import re
from datetime import datetime, timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d+)\s*([smhd])")


def parse_duration(text: str) -> timedelta:
    """A time span: a whole number and one of s, m, h, d.

    Raises:
        typer.BadParameter: it is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise typer.BadParameter(f"{text!r} is no time span; write it as 15m, with one of {', '.join(_UNITS)}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_time(text: str) -> datetime:
    """A moment as ISO 8601 has it; without an offset it is meant where the reader is.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write it as 2026-03-14T12:00, or with Z behind for UTC"
        ) from None
