"""An answer must fit into one message, of which the server takes 1 MiB."""

from collections.abc import Iterable
from typing import TypeVar

from fleetfold_contracts import codec

View = TypeVar("View")

WHOLE_BYTES = 700_000
LIST_BYTES = 250_000
QUEUE_BYTES = 60_000
"""What a list may take, of which an answer has up to three."""


def fitting(views: Iterable[View], budget_bytes: int, limit: int | None = None) -> tuple[tuple[View, ...], bool]:
    """The first of the views, as many as fit, and whether there are more. No more are made than are looked at."""
    shown: list[View] = []
    for view in views:
        budget_bytes -= len(codec.encode(view)) + 1
        if budget_bytes < 0 or len(shown) == limit:
            return tuple(shown), True
        shown.append(view)
    return tuple(shown), False


def newest(views: Iterable[View], budget_bytes: int) -> tuple[View, ...]:
    """The views that come newest first, as many as fit, the oldest of them first."""
    return fitting(views, budget_bytes)[0][::-1]
