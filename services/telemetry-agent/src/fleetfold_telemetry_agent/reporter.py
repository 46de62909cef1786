"""What a node has to say: facts when something changed, a message of samples each tick. Pure."""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from fleetfold_contracts import events as evt
from fleetfold_contracts.ids import BootId, DeviceId
from fleetfold_contracts.inventory import Capabilities, Link, Node, Vendor
from fleetfold_contracts.samples import Absence, NodeSample, Sample
from fleetfold_devices.isolation.look import Look
from fleetfold_devices.port import Fault
from fleetfold_telemetry_agent.boots import same_machine_boot
from fleetfold_telemetry_agent.dead_band import DeadBand, moved

Fact = tuple[evt.Event, str]
"""An event, and the id by which the log takes it once."""

NO_ANSWER = "it no longer answers"
NOT_THERE = "it is no longer there"
MAX_TEXT_CHARACTERS = 1000


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A look at the devices of one vendor, or, with no vendor named, at all devices of the node."""

    look: Look
    vendor: Vendor | None = None
    opened: bool = False
    """Whether the driver was opened for it: faults of before are then over for the devices that answer."""
    why_lost: str = ""
    """Why devices that are lost are, where that is known."""


@dataclass(slots=True)
class _Told:
    """What the log holds of a device."""

    capabilities: Capabilities
    stands: bool = True
    """Whether it is still known to be so: not from one boot of the machine to the next, when a GPU may be moved."""
    lost: bool = False
    faults: set[str] = field(default_factory=set[str])

    def recall(self, event: evt.DeviceLost | evt.DeviceRecovered | evt.DeviceFaulted) -> None:
        """Take over what became of it."""
        match event:
            case evt.DeviceLost():
                self.lost = True
            case evt.DeviceRecovered():
                self.lost = False
                self.faults.clear()
            case evt.DeviceFaulted():
                self.faults.add(event.code)


class Reporter:
    """Remembers what was said of one node, so that only what changed is said again.

    What was said in earlier runs is recalled from the log: an agent that starts again says what changed meanwhile.
    """

    def __init__(self, node: Node, band: DeadBand, *, ticks_between_key_frames: int) -> None:
        """Nothing has been said at first."""
        self.node = node
        self._band = band
        self._ticks_between_key_frames = ticks_between_key_frames
        self._tick = 0
        self._fact_count = 0
        self._all_are_due = False
        self._published: dict[DeviceId, Sample] = {}
        self._told: dict[DeviceId, _Told] = {}
        self._told_links: tuple[Link, ...] = ()
        self._told_boot: BootId = ""

    def recall(self, event: evt.Event) -> None:
        """Take over what the log holds of this node, event by event."""
        match event:
            case evt.NodeJoined():
                self._recall_boot(event.node.boot_id)
            case evt.DeviceRegistered(capabilities=capabilities):
                known = self._told.get(capabilities.device_id)
                self._told[capabilities.device_id] = _Told(capabilities, faults=known.faults if known else set())
            case evt.DeviceLost() | evt.DeviceRecovered() | evt.DeviceFaulted():
                if told := self._told.get(event.device_id):
                    told.recall(event)
            case evt.LinksObserved():
                self._told_links = event.links
            case _:
                pass

    def joined(self) -> Fact:
        """What is said when the agent has started."""
        return self._say(evt.NodeJoined(node=self.node))

    def left(self) -> Fact:
        """What is said when the agent is stopped in good order."""
        return self._say(evt.NodeLeft(node_id=self.node.node_id, boot_id=self.node.boot_id))

    def tell_all(self) -> None:
        """Let the next message be a key frame: what was sent before may not have arrived."""
        self._all_are_due = True

    @property
    def node_links(self) -> tuple[Link, ...]:
        """The links to other nodes that the log holds of this one."""
        return tuple(link for link in self._told_links if self.node.node_id in link.ends)

    def linked_to(self, links: Iterable[Link]) -> list[Fact]:
        """What is said when the links to other nodes are these now."""
        among_devices = [link for link in self._told_links if self.node.node_id not in link.ends]
        return list(self._link((*among_devices, *links)))

    def tick(self, seen: Iterable[Seen]) -> tuple[NodeSample, list[Fact]]:
        """The message of this tick, and the facts that were seen since the last one, in their order."""
        seen = tuple(seen)
        facts = [fact for one in seen for fact in self._facts(one)]
        newest = {sample.device_id: sample for one in seen for sample in one.look.samples}
        key_frame = self._all_are_due or self._tick % self._ticks_between_key_frames == 0
        message = NodeSample(
            node_id=self.node.node_id,
            boot_id=self.node.boot_id,
            tick=self._tick,
            samples=tuple(newest.values()) if key_frame else self._moved(newest),
            health=tuple([health for one in seen for health in one.look.health]),
            key_frame=key_frame,
        )
        if key_frame:
            self._published.clear()  # devices that are gone are forgotten
        self._published.update((sample.device_id, sample) for sample in message.samples)
        self._tick += 1
        self._all_are_due = False
        return message, facts

    def _moved(self, newest: dict[DeviceId, Sample]) -> tuple[Sample, ...]:
        published, band = self._published, self._band
        return tuple([sample for device_id, sample in newest.items() if moved(published.get(device_id), sample, band)])

    def _facts(self, seen: Seen) -> Iterator[Fact]:
        look = seen.look
        silent = {sample.device_id for sample in look.samples if Absence.LOST in sample.absent.values()}
        if look.inventory is not None:
            found = {device.device_id: device for device in look.inventory.devices}
            yield from self._gone(found, seen)
            yield from self._found(found, silent, opened=seen.opened)
        yield from self._answering(look.samples, silent, seen.why_lost or NO_ANSWER)
        if look.links is not None:
            yield from self._linked(look.links, seen.vendor)
        yield from self._faulted(look.faults)

    def _gone(self, found: Container[DeviceId], seen: Seen) -> Iterator[Fact]:
        for device_id, told in self._told.items():
            if device_id not in found and not told.lost and seen.vendor in (None, told.capabilities.vendor):
                yield self._lost(device_id, seen.why_lost or NOT_THERE)

    def _found(
        self, found: Mapping[DeviceId, Capabilities], silent: Container[DeviceId], *, opened: bool
    ) -> Iterator[Fact]:
        for device_id, device in found.items():
            told = self._told.get(device_id)
            answers = device_id not in silent
            back = told is not None and told.lost and answers
            mended = told is not None and opened and answers and bool(told.faults)
            if told is None or not told.stands or told.capabilities != device or back:
                yield self._say(evt.DeviceRegistered(node_id=self.node.node_id, capabilities=device))
            if back or mended:
                yield self._recovered(device_id)

    def _answering(self, samples: Iterable[Sample], silent: Container[DeviceId], why_lost: str) -> Iterator[Fact]:
        for sample in samples:
            told = self._told.get(sample.device_id)
            if told is None or told.lost is (sample.device_id in silent):
                continue
            yield self._recovered(sample.device_id) if told.lost else self._lost(sample.device_id, why_lost)

    def _linked(self, links: tuple[Link, ...], vendor: Vendor | None) -> Iterator[Fact]:
        kept = [link for link in self._told_links if vendor is not None and vendor not in self._vendors_of(link)]
        yield from self._link((*kept, *links))

    def _link(self, links: tuple[Link, ...]) -> Iterator[Fact]:
        if set(links) != set(self._told_links):
            yield self._say(evt.LinksObserved(node_id=self.node.node_id, links=links))

    def _vendors_of(self, link: Link) -> set[Vendor]:
        return {told.capabilities.vendor for end in link.ends if (told := self._told.get(end))}

    def _faulted(self, faults: Iterable[Fault]) -> Iterator[Fact]:
        for fault in faults:
            told = self._told.get(fault.device_id)
            code = fault.code[:MAX_TEXT_CHARACTERS]
            if told is not None and code not in told.faults:
                faulted = evt.DeviceFaulted(
                    node_id=self.node.node_id,
                    device_id=fault.device_id,
                    code=code,
                    meaning=fault.meaning[:MAX_TEXT_CHARACTERS],
                )
                yield self._say(faulted)

    def _lost(self, device_id: DeviceId, reason: str) -> Fact:
        reason = reason[:MAX_TEXT_CHARACTERS]
        return self._say(evt.DeviceLost(node_id=self.node.node_id, device_id=device_id, reason=reason))

    def _recovered(self, device_id: DeviceId) -> Fact:
        return self._say(evt.DeviceRecovered(node_id=self.node.node_id, device_id=device_id))

    def _say(self, event: evt.Event) -> Fact:
        self.recall(event)
        self._fact_count += 1
        return event, f"{self.node.node_id}.{self.node.boot_id}.{self._fact_count}"

    def _recall_boot(self, boot_id: BootId) -> None:
        if not same_machine_boot(self._told_boot, boot_id):
            for told in self._told.values():
                told.stands = False
        self._told_boot = boot_id
