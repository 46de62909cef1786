"""A snapshot without a pause: the state of one moment, encoded bit by bit while it changes on.

What comes out is what `State.encode` would have given at that moment, to the byte.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from typing import TypeVar, cast

import msgspec

from fleetfold_contracts.ids import CommandId
from fleetfold_core.state import State
from fleetfold_core.touched import Touched

ENTRIES_AT_ONCE = 500
"""So many entries are encoded in one go: it takes about a millisecond."""

_CHANGED_IN_PLACE = ("nodes", "devices", "works")
"""The large parts whose entries change where they lie: what a record touches of them is encoded right before."""
_REPLACED_WHOLE = ("links", "placements", "refusals", "released", "queue", "outages")
"""The large parts whose entries are replaced as a whole, if ever. What is in no large part is encoded at once."""
_LARGE = frozenset({*_CHANGED_IN_PLACE, *_REPLACED_WHOLE})

Value = TypeVar("Value")
Entries = dict[object, object]

_encoder = msgspec.msgpack.Encoder()


class OutcomesInOrder:
    """The outcomes of a state, once more, so that any stretch of them is at hand.

    They are by far the most entries of a state, too many to be copied at once. But they only grow at one end and are
    forgotten at the other, so that what is new can be told by counting.
    """

    def __init__(self, state: State) -> None:
        self._ids = list(state.outcomes)
        self._sequences = array("Q", state.outcomes.values())

    def __len__(self) -> int:
        return len(self._ids)

    def catch_up(self, state: State) -> None:
        """Take over what came since, and drop what was forgotten."""
        first_kept = state.outcome_days[0][1] if state.outcome_days else 0
        forgotten = bisect_left(self._sequences, first_kept)
        del self._ids[:forgotten], self._sequences[:forgotten]
        new_count = len(state.outcomes) - len(self._ids)
        self._ids += _oldest_first(reversed(state.outcomes), new_count)
        self._sequences.extend(_oldest_first(reversed(state.outcomes.values()), new_count))

    def stretch(self, first: int, last: int) -> dict[CommandId, int]:
        """Those from `first` up to, and without, `last`."""
        return dict(zip(self._ids[first:last], self._sequences[first:last], strict=True))


class Snapshot:
    """The state of the moment at which this is made. From then on `keep` must hear of each record before it is folded.

    One is under way at a time.
    """

    def __init__(self, state: State, outcomes: OutcomesInOrder) -> None:
        """`outcomes` are those of the same state: they go from one snapshot to the next."""
        outcomes.catch_up(state)
        self.position = state.position
        self._outcomes = outcomes
        self._outcome_count = len(outcomes)
        self._fields = State.__struct_fields__
        self._parts = {field: _held(state, field) for field in self._fields if field != "outcomes"}

    def keep(self, touched: Touched) -> None:
        """Encode what a record is about to change, as it is now."""
        for part in _CHANGED_IN_PLACE:
            entries = cast("Entries", self._parts[part])
            for key in getattr(touched, part):
                entry = entries.get(key)
                if entry is not None and type(entry) is not msgspec.Raw:
                    entries[key] = msgspec.Raw(_encoder.encode(entry))

    def slices(self) -> Iterator[bytes]:
        """The encoded state. Between one slice and the next records may be folded, each of which was kept before."""
        yield _map_header(len(self._fields))
        for field in self._fields:
            yield _encoder.encode(field)
            if field == "outcomes":
                yield from self._outcome_slices()
            elif isinstance(part := self._parts[field], bytes):
                yield part
            else:
                yield from _slices(part)
                self._parts[field] = {}

    def _outcome_slices(self) -> Iterator[bytes]:
        count = self._outcome_count
        yield _map_header(count)
        for first in range(0, count, ENTRIES_AT_ONCE):
            yield _without_header(self._outcomes.stretch(first, min(first + ENTRIES_AT_ONCE, count)))


def _held(state: State, field: str) -> Entries | bytes:
    # A copy of a dictionary holds on to its entries without a look at any of them: it takes next to no time.
    part = getattr(state, field)
    return dict(cast("Entries", part)) if field in _LARGE else _encoder.encode(part)


def _slices(entries: Entries) -> Iterator[bytes]:
    yield _map_header(len(entries))
    items = iter(entries.items())
    while some := dict(islice(items, ENTRIES_AT_ONCE)):
        yield _without_header(some)


def _without_header(entries: dict[object, object] | dict[CommandId, int]) -> bytes:
    return _encoder.encode(entries)[len(_map_header(len(entries))) :]


def _map_header(count: int) -> bytes:
    """What MessagePack begins a map of so many entries with."""
    if count < 16:
        return bytes([0x80 | count])
    return b"\xde" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdf" + count.to_bytes(4, "big")


def _oldest_first(newest_first: Iterator[Value], count: int) -> list[Value]:
    return list(islice(newest_first, count))[::-1]
