"""What a node has to say: facts when something changed, a message of samples each tick. Pure."""

from collections.abc import Iterator, Sequence

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Capabilities, Link, Node
from fleetfold_contracts.samples import Absence, NodeSample, Sample
from fleetfold_telemetry_agent.dead_band import DeadBand, moved

Fact = tuple[evt.Event, str]
"""An event, and the id by which the log takes it once."""


class Reporter:
    """Remembers what was said of one node, so that only what changed is said again."""

    def __init__(self, node: Node, band: DeadBand, *, ticks_between_key_frames: int) -> None:
        """Nothing has been said at first."""
        self.node = node
        self._band = band
        self._ticks_between_key_frames = ticks_between_key_frames
        self._tick = 0
        self._published: dict[DeviceId, Sample] = {}
        self._lost: set[DeviceId] = set()

    def joined(self, devices: Sequence[Capabilities], links: Sequence[Link]) -> Iterator[Fact]:
        """What is said when the agent has started."""
        node_id = self.node.node_id
        yield evt.NodeJoined(node=self.node), self._id(node_id, "joined")
        for device in devices:
            yield (
                evt.DeviceRegistered(node_id=node_id, capabilities=device),
                self._id(device.device_id, "registered"),
            )
        if links:
            yield evt.LinksObserved(node_id=node_id, links=tuple(links)), self._id(node_id, "links")

    def left(self) -> Fact:
        """What is said when the agent is stopped in good order."""
        left = evt.NodeLeft(node_id=self.node.node_id, boot_id=self.node.boot_id)
        return left, self._id(self.node.node_id, "left")

    def tick(self, samples: Sequence[Sample]) -> tuple[NodeSample, list[Fact]]:
        """The message of this tick, and the facts that its readings show."""
        key_frame = self._tick % self._ticks_between_key_frames == 0
        band = self._band
        told = [sample for sample in samples if key_frame or moved(self._published.get(sample.device_id), sample, band)]
        self._published.update((sample.device_id, sample) for sample in told)
        message = NodeSample(
            node_id=self.node.node_id,
            boot_id=self.node.boot_id,
            tick=self._tick,
            samples=tuple(told),
            key_frame=key_frame,
        )
        facts = list(self._losses(samples))
        self._tick += 1
        return message, facts

    def _losses(self, samples: Sequence[Sample]) -> Iterator[Fact]:
        for sample in samples:
            device_id, lost = sample.device_id, Absence.LOST in sample.absent.values()
            if lost and device_id not in self._lost:
                self._lost.add(device_id)
                event = evt.DeviceLost(node_id=self.node.node_id, device_id=device_id, reason="no longer answers")
                yield event, self._id(device_id, f"lost.{self._tick}")
            elif not lost and device_id in self._lost:
                self._lost.remove(device_id)
                event = evt.DeviceRecovered(node_id=self.node.node_id, device_id=device_id)
                yield event, self._id(device_id, f"recovered.{self._tick}")

    def _id(self, subject: str, what: str) -> str:
        return f"{subject}.{self.node.boot_id}.{what}"
