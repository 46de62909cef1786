"""Figures and lists in words. What is absent is `n/a`, never a healthy 0."""

from collections.abc import Collection
from datetime import datetime

from rich.table import Table

ABSENT = "n/a"
SHOWN_NAMES = 3


def figure(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A reading with its unit."""
    return ABSENT if value is None else f"{value:.{digits}f}{unit}"


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 node`, `2 nodes`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def names(ids: Collection[str]) -> str:
    """The first few of some ids, and how many more there are."""
    shown = ", ".join(list(ids)[:SHOWN_NAMES])
    more = len(ids) - SHOWN_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown


def clock_time(moment: datetime | None) -> str:
    """A moment of the day, where the reader is."""
    return ABSENT if moment is None else f"{moment.astimezone():%H:%M:%S}"


def plain_table(*columns: str, right: Collection[str] = (), title: str | None = None) -> Table:
    """An empty table. Ids are folded where the terminal is narrow, so that they can still be copied."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def silence(shares: Collection[str]) -> str | None:
    """Which shares of the fleet are not in an answer; None where all are."""
    return f"without what does not answer: share {', '.join(shares)} of the fleet" if shares else None
