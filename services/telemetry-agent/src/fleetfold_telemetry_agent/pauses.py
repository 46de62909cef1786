"""How long to wait before something that failed is tried again. Pure."""

from collections.abc import Iterator


def doubling(first_s: float, longest_s: float) -> Iterator[float]:
    """Pauses that double from the first to the longest, which is then repeated for ever."""
    pause_s = first_s
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, longest_s)
