"""The facts of one node that wait for the log, in order and bounded. Pure."""

from collections import deque
from collections.abc import Iterable

import msgspec

from fleetfold_contracts import events as evt

PRESENCE = "presence"


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A fact in its envelope, ready for the log. A newer one of the same `kind` about the same thing stands for it."""

    subject: str
    message_id: str
    payload: bytes
    kind: tuple[str, str | None]


def kind_of(event: evt.Event) -> tuple[str, str | None]:
    """What an event is about, and which sort of state it tells. Lost and recovered are one sort: there, or not."""
    sort = PRESENCE if isinstance(event, evt.DeviceLost | evt.DeviceRecovered) else evt.TYPE_OF_EVENT[type(event)]
    return sort, evt.about(event)


def newest_of_each(facts: Iterable[Waiting]) -> list[Waiting]:
    """The last fact of each kind, in the order of the facts: folded they give the same state as all of them."""
    newest: dict[tuple[str, str | None], Waiting] = {}
    for fact in facts:
        newest.pop(fact.kind, None)
        newest[fact.kind] = fact
    return list(newest.values())


class Lane:
    """Facts in order. Beyond `limit` of them, only the newest of each kind are kept.

    There is a bound even where these are more than `limit`: twice as many as there are kinds.
    """

    def __init__(self, limit: int) -> None:
        """Nothing waits at first."""
        self._limit = self._crowded_at = limit
        self._facts: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._facts)

    @property
    def first(self) -> Waiting:
        """The fact that goes next."""
        return self._facts[0]

    def put(self, fact: Waiting) -> None:
        """Let a fact wait behind the others."""
        self._facts.append(fact)
        if len(self._facts) > self._crowded_at:
            self._facts = deque(newest_of_each(self._facts))
            self._crowded_at = max(self._limit, 2 * len(self._facts))

    def gone(self, fact: Waiting) -> None:
        """A fact that was the first has reached the log. By now a newer one may stand for it."""
        if self._facts and self._facts[0] is fact:
            self._facts.popleft()
