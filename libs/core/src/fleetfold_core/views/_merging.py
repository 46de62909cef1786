"""Lists of several projectors become one, in order and without a gap."""

from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from itertools import takewhile
from typing import Any, TypeVar

View = TypeVar("View")


def merged(parts: Sequence[tuple[Sequence[View], bool]], *, key: Callable[[View], Any]) -> tuple[Iterable[View], bool]:
    """The views of ordered lists in the order of `key`, and whether there are more than can be told.

    Each list comes with whether it was cut. Behind the end of a list that was cut nothing is told: what is missing
    of it would be a gap.
    """
    ordered = merge(*(views for views, _ in parts), key=key)
    ends = [key(views[-1]) for views, cut in parts if cut]
    if not ends:
        return ordered, False
    end = min(ends)
    return takewhile(lambda view: key(view) <= end, ordered), True
