"""Samples as they come, gathered for a moment: a device that told three tells its newest."""

from datetime import datetime

from fleetfold_bus.port import Record
from fleetfold_contracts import codec
from fleetfold_contracts.ids import DeviceId, NodeId
from fleetfold_contracts.samples import Sample
from fleetfold_gateway.feed.frames import Readings
from fleetfold_runtime.logs import get_logger

_log = get_logger()


class Gathered:
    """What was read since it was last taken."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._newest: datetime | None = None
        self._nodes: set[NodeId] = set()
        self._samples: dict[DeviceId, Sample] = {}

    def add(self, record: Record) -> None:
        """What a node told. What cannot be read is left out, and said."""
        try:
            told = codec.decode_samples(record.payload)
        except codec.ContractError as error:
            _log.warning("samples cannot be read", subject=record.subject, reason=str(error))
            return
        self._newest = record.time
        self._nodes.add(told.node_id)
        self._samples |= {sample.device_id: sample for sample in told.samples}

    def take(self) -> Readings | None:
        """All of it; None where nothing came."""
        if self._newest is None:
            return None
        taken = Readings(time=self._newest, nodes=tuple(sorted(self._nodes)), samples=tuple(self._samples.values()))
        self._newest = None
        self._nodes.clear()
        self._samples.clear()
        return taken
