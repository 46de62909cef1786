"""One work as the log tells it: which items were counted as done, and how often. Shares no code with the fold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleetfold_contracts import events as evt

Held = dict[tuple[str, int], list[int]]


@dataclass
class Accounts:
    """Hand-outs open at a position of the log, and what was counted up to there."""

    counted: Counter[int] = field(default_factory=Counter[int])
    """How often each item counts as done: once, if all is well."""
    told_again: int = 0
    """Items of batches that were told of when they were no longer open: they count nothing."""
    completed: evt.WorkCompleted | None = None
    _open: Held = field(default_factory=Held)
    _decisions: int = 0

    def read(self, event: evt.Event) -> None:
        """Enter one event, in the order of the log."""
        match event:
            case evt.WorkDispatched() if self._is_next(event.number):
                for part in event.batches:
                    self._open[part.device_id, part.batch] = _numbers(part.runs)
            case evt.WorkReassigned() if self._is_next(event.number):
                for batch in event.batches:
                    del self._open[event.device_id, batch]
            case evt.BatchFinished():
                self._finish(event)
            case evt.WorkCompleted() if self._is_next(event.number):
                assert self.completed is None, "a work is completed once"
                self.completed = event
            case _:
                pass

    def _is_next(self, number: int) -> bool:
        """Of two distributors that decided at once, the second came too late."""
        if number != self._decisions + 1:
            return False
        self._decisions = number
        return True

    def _finish(self, event: evt.BatchFinished) -> None:
        items = self._open.pop((event.device_id, event.batch), None)
        if items is None:
            self.told_again += event.item_count
            return
        failed = {failure.index for failure in event.failures}
        self.counted.update(item for item in items if item not in failed)


def _numbers(runs: Sequence[tuple[int, int]]) -> list[int]:
    return [item for first, count in runs for item in range(first, first + count)]
