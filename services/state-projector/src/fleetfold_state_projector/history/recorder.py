"""What comes in is recorded: each sample among the newest, and in the roll-up of its minute."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from fleetfold_contracts.ids import BootId, DeviceId, NodeId
from fleetfold_contracts.samples import NodeSample
from fleetfold_core.rollup import Rollup, values_of
from fleetfold_state_projector.history.newest import Newest

MINUTE_S = 60
CLOSED_AT_MOST = 60
"""While nothing can be written, the newest hour waits; what is older is lost."""


class Minute(NamedTuple):
    """A minute's roll-ups, and the last sequence of the stream of samples that is in them, or in those before."""

    start_s: int
    position: int
    rollups: dict[DeviceId, Rollup]


class Recorder:
    """Records in memory. The minutes that are over wait in `closed` to be written.

    All devices share their minutes, and those follow the order of the stream. So one position says what is in the
    minutes that are closed: after a restart the stream is read on behind it, and no sample counts twice.
    """

    def __init__(self, *, newest: int, position: int) -> None:
        """`newest`: so many samples a device are kept in full. Up to `position` all is in closed minutes already."""
        self.closed: list[Minute] = []
        self._limit = newest
        self._newest: dict[DeviceId, Newest] = {}
        self._open: dict[DeviceId, Rollup] = {}
        self._minute_s = 0
        self._position = position
        self._ticks: dict[NodeId, tuple[BootId, int]] = {}

    def record(self, samples: NodeSample, sequence: int, time: datetime) -> None:
        """Record what a node sampled, which lies at `sequence` of the stream since the server's `time`."""
        at_s = time.timestamp()
        is_new = sequence > self._position
        if is_new:
            self._turn_to(int(at_s) // MINUTE_S * MINUTE_S)
            self._position = sequence
        if not self._is_next(samples):
            return
        for sample in samples.samples:
            self._add(sample.device_id, at_s, values_of(sample), is_new=is_new)

    def close(self) -> None:
        """Close the minute under way: what comes of it later is another part of it."""
        if self._open:
            self.closed.append(Minute(self._minute_s, self._position, self._open))
            del self.closed[:-CLOSED_AT_MOST]
        self._open = {}

    def newest(self, device_id: DeviceId) -> Newest:
        """The newest samples of a device."""
        return self._newest.get(device_id) or Newest(self._limit)

    def unwritten(self, device_id: DeviceId) -> Iterator[tuple[int, Rollup]]:
        """The minutes of a device that are not written yet, the one under way among them, each with its start."""
        for minute in (*self.closed, Minute(self._minute_s, self._position, self._open)):
            if device_id in minute.rollups:
                yield minute.start_s, minute.rollups[device_id]

    def _turn_to(self, minute_s: int) -> None:
        # A server's clock that was set back does not open a minute again.
        if minute_s > self._minute_s:
            self.close()
            self._minute_s = minute_s

    def _is_next(self, samples: NodeSample) -> bool:
        """Whether it is no repetition: of one boot, each tick is newer than the one before."""
        known = self._ticks.get(samples.node_id)
        if known is not None and known[0] == samples.boot_id and samples.tick <= known[1]:
            return False
        self._ticks[samples.node_id] = (samples.boot_id, samples.tick)
        return True

    def _add(self, device_id: DeviceId, at_s: float, values: tuple[float | None, ...], *, is_new: bool) -> None:
        newest = self._newest.get(device_id)
        if newest is None:
            newest = self._newest[device_id] = Newest(self._limit)
        newest.add(at_s, values)
        if is_new:
            rollup = self._open.get(device_id)
            if rollup is None:
                rollup = self._open[device_id] = Rollup()
            rollup.add(values)
