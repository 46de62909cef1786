"""The newest events of the log, kept at hand."""

from collections import deque
from collections.abc import Iterator
from itertools import dropwhile

KEPT = 2000


class Recent:
    """The newest frames with their log positions, without a gap."""

    def __init__(self, kept: int = KEPT) -> None:
        """So many at most."""
        self.position = 0
        """That of the newest event."""
        self._frames: deque[tuple[int, bytes]] = deque(maxlen=kept)

    def begin_at(self, position: int) -> None:
        """Stand at a log position, with nothing at hand."""
        self.position = position

    def add(self, sequence: int, frame: bytes) -> None:
        """One more event."""
        self._frames.append((sequence, frame))
        self.position = sequence

    def reaches_back_to(self, after: int) -> bool:
        """Whether everything behind a log position is at hand."""
        oldest = self._frames[0][0] if self._frames else self.position + 1
        return after >= oldest - 1

    def behind(self, after: int) -> Iterator[bytes]:
        """The frames behind a log position."""
        return (frame for _, frame in dropwhile(lambda entry: entry[0] <= after, self._frames))

    def position_before_newest(self, count: int) -> int:
        """The log position behind which lie the newest `count` events, or as many as are at hand."""
        if count <= 0 or not self._frames:
            return self.position
        return self._frames[-min(count, len(self._frames))][0] - 1
