"""The newest samples of one device, as plain numbers: a sample as an object takes ten times the memory."""

import math
from array import array
from collections.abc import Iterator, Sequence

from fleetfold_core.rollup import READINGS

_WIDTH = 1 + len(READINGS)

Row = tuple[float, list[float | None]]
"""The server's time in seconds since 1970, and the readings."""


class Newest:
    """So many samples; a new one takes the place of the oldest."""

    __slots__ = ("_cells", "_limit", "_oldest")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._oldest = 0
        self._cells = array("d")

    def add(self, at_s: float, values: Sequence[float | None]) -> None:
        """Add a sample of the server's time `at_s`."""
        row = array("d", (at_s, *(math.nan if value is None else value for value in values)))
        if len(self._cells) < self._limit * _WIDTH:
            self._cells.extend(row)
            return
        self._cells[self._oldest * _WIDTH : (self._oldest + 1) * _WIDTH] = row
        self._oldest = (self._oldest + 1) % self._limit

    def rows(self) -> Iterator[Row]:
        """The samples, the oldest first."""
        count = len(self._cells) // _WIDTH
        for index in range(count):
            first = (self._oldest + index) % count * _WIDTH
            at_s, *values = self._cells[first : first + _WIDTH]
            yield at_s, [None if math.isnan(value) else value for value in values]

    @property
    def oldest_s(self) -> float:
        """The time of the oldest sample; infinity while there is none."""
        return self._cells[self._oldest * _WIDTH] if self._cells else math.inf
