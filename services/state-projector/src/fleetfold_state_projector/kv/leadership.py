"""Which of several projectors writes the views.

A record is renewed again and again, each time on the condition that nobody else changed it. Whoever sees it unchanged
for long enough, by a clock of its own, takes it over. Two may believe for a moment that they lead: what they write is
the same.
"""

from fleetfold_bus.port import Bucket, ConflictError
from fleetfold_runtime.clock import Clock

RENEW_EVERY_S = 0.5
TAKE_OVER_AFTER_S = 2.0
"""With the look before it and the first round of writing after it, the views stand still for 3.5 s at most."""


class Leadership:
    """The part of one projector."""

    def __init__(self, bucket: Bucket, clock: Clock, *, key: str, instance: str) -> None:
        """`instance` is what the record at `key` says of who leads."""
        self._bucket = bucket
        self._clock = clock
        self._key = key
        self._record = instance.encode()
        self._held_revision: int | None = None
        self._seen_revision = 0
        self._seen_at_s = 0.0

    @property
    def leads(self) -> bool:
        """Whether it led when the record was looked at last."""
        return self._held_revision is not None

    async def renew(self) -> None:
        """Keep the lead, or take it if nobody holds it. To be called every `RENEW_EVERY_S`.

        Raises:
            BusError: it could not be done, and the lead is given up.
        """
        expected = self._held_revision
        self._held_revision = None
        if expected is None:
            expected = await self._vacant_revision()
        if expected is not None:
            try:
                self._held_revision = await self._bucket.put(self._key, self._record, revision=expected)
            except ConflictError:
                return  # somebody else was faster, or the bucket was made anew

    async def _vacant_revision(self) -> int | None:
        """The revision of a record that nobody renews; 0 where there is none. None: somebody does."""
        entry = await self._bucket.get(self._key)
        if entry is None:
            return 0
        now_s = self._clock.monotonic_s()
        if entry.revision != self._seen_revision:
            self._seen_revision, self._seen_at_s = entry.revision, now_s
        return entry.revision if now_s - self._seen_at_s >= TAKE_OVER_AFTER_S else None
