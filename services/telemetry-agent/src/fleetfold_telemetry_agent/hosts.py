"""Where looks at devices come from: this machine's vendors, or simulated nodes."""

import asyncio
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import msgspec

from fleetfold_contracts.inventory import Node, Vendor
from fleetfold_devices.host import host_node
from fleetfold_devices.isolation.isolated import IsolatedSource, vendor_command
from fleetfold_devices.isolation.look import look
from fleetfold_devices.local import ADAPTERS, shows_signs
from fleetfold_devices.simulation.fleet_file import FleetError, load_fleet
from fleetfold_devices.simulation.simulated import SimulatedNode
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.logs import get_logger
from fleetfold_telemetry_agent.boots import boot_id_of
from fleetfold_telemetry_agent.reporter import Seen
from fleetfold_telemetry_agent.settings import AgentSettings
from fleetfold_telemetry_agent.vendor_watch import VendorWatch

LONGEST_PATIENCE_S = 0.5
PATIENCE_SHARE = 0.25
"""How much of a tick is waited for vendors: the heartbeat is not theirs to hold up."""

_log = get_logger()


class Host(Protocol):
    """A node with its devices."""

    @property
    def node(self) -> Node:
        """What it is, in this run."""
        ...

    async def look(self) -> Sequence[Seen]:
        """Look at the devices, once a tick."""
        ...

    async def close(self) -> None:
        """Let them go."""
        ...


def hosts_of(settings: AgentSettings, clock: Clock) -> list[Host]:
    """The simulated nodes of the fleet that is set, or else this machine.

    Raises:
        FleetError: the fleet is described wrongly, or has links declared elsewhere.
    """
    run = uuid.uuid4().hex[:12]
    if settings.fleet and settings.links:
        raise FleetError("FLEETFOLD_LINKS", "a simulated fleet declares its links in its own file; leave out either")
    if settings.fleet:
        simulated = load_fleet(settings.fleet, seed=settings.fleet_seed)
        for node in simulated:
            node.wanted = settings.wanted
        return [SimulatedHost(node, _in_run(node.node, run, settings), settings, clock) for node in simulated]
    node = host_node(node_id=settings.node_id or None, labels=settings.node_labels)
    watches = [_watch(vendor, node, settings, clock) for vendor in ADAPTERS]
    return [ThisHost(_in_run(node, run, settings), watches)]


def _in_run(node: Node, run: str, settings: AgentSettings) -> Node:
    boot_id = boot_id_of(node.boot_id, run)
    return msgspec.structs.replace(node, boot_id=boot_id, beat_interval_s=settings.sample_interval_s)


def _watch(vendor: Vendor, node: Node, settings: AgentSettings, clock: Clock) -> VendorWatch:
    return VendorWatch(
        vendor,
        IsolatedSource(vendor, vendor_command(vendor, node.node_id, settings.wanted)),
        settings,
        clock,
        patience_s=min(LONGEST_PATIENCE_S, PATIENCE_SHARE * settings.sample_interval_s),
        is_there=partial(shows_signs, vendor),
    )


class ThisHost:
    """This machine: each vendor is looked at in a process of its own."""

    def __init__(self, node: Node, watches: Sequence[VendorWatch]) -> None:
        """Nothing has been looked at yet."""
        self.node = node
        self._watches = watches
        self._counted = False

    async def look(self) -> list[Seen]:
        """See `Host`. All vendors are looked at side by side."""
        seen = await asyncio.gather(*(watch.look() for watch in self._watches))
        self._count()
        return [one for of_vendor in seen for one in of_vendor]

    async def close(self) -> None:
        """See `Host`."""
        await asyncio.gather(*(watch.close() for watch in self._watches))

    def _count(self) -> None:
        """Say once how many GPUs there are, as soon as every vendor has told."""
        counts = [watch.device_count for watch in self._watches]
        if self._counted or None in counts:
            return
        self._counted = True
        if any(counts):
            _log.info("this node's GPUs are known", count=sum(filter(None, counts)))
        else:
            _log.info("there is no GPU on this node; it is reported all the same")


class SimulatedHost:
    """A simulated node, looked at in this process: it has no driver that could block."""

    def __init__(self, source: SimulatedNode, node: Node, settings: AgentSettings, clock: Clock) -> None:
        """`node` is what the source's node is in this run."""
        self.node = node
        self.source = source
        self._clock = clock
        self._opened = False
        self._tiers = settings.tiers()

    async def look(self) -> list[Seen]:
        """See `Host`."""
        now_s = self._clock.monotonic_s()
        question = self._tiers.question(now_s)
        self._tiers.answered(question, now_s)
        opened, self._opened = not self._opened, True
        return [Seen(look=look(self.source, question, self._clock.now), opened=opened)]

    async def close(self) -> None:
        """See `Host`."""
        self.source.close()
