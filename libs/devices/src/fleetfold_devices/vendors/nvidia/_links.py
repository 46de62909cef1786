"""The links between NVIDIA's cards: NVLink, directly or through switches, and else PCI Express.

An instance of MIG reaches no other device but through the host's memory, so that it has no links.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from fleetfold_contracts.inventory import Link, LinkKind
from fleetfold_devices.library import pcie
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.port import DeviceLostError
from fleetfold_devices.vendors.nvidia._places import Gpu, pci_address

A_SWITCH = "a switch"

LANE_GBPS = {1: 160.0, 2: 200.0, 3: 200.0, 6: 200.0, 7: 400.0}
"""By NVML's number of an NVLink's version (1.0, 2.0, 2.2, 4.0, 5.0): gigabits a second each way on one link, from
NVIDIA's data sheets. Under the versions 3 there are links of two speeds."""

P2P_READ = 0
"""NVML_P2P_CAPS_INDEX_READ, which the binding gives as a tuple by mistake."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """One of a card's NVLinks: the PCI address of the card at its other end, or a switch."""

    remote: str
    gbps: float | None


def links(nvml: Any, driver: Driver, gpus: Sequence[Gpu]) -> tuple[Link, ...]:
    """The links between each two cards that answer."""
    cards: list[tuple[Gpu, list[_Lane]]] = []
    for gpu in gpus:
        if not gpu.place.is_instance:
            with contextlib.suppress(DeviceLostError):
                cards.append((gpu, list(_lanes(nvml, driver, gpu.place.card))))
    found: list[Link] = []
    for (first, first_lanes), (second, second_lanes) in combinations(cards, 2):
        with contextlib.suppress(DeviceLostError):
            found.append(_Pair(nvml, driver, first, second).link(first_lanes, second_lanes))
    return tuple(found)


def _lanes(nvml: Any, driver: Driver, card: Any) -> Iterator[_Lane]:
    for index in range(nvml.NVML_NVLINK_MAX_LINKS):
        state = driver.ask_or_none(nvml.nvmlDeviceGetNvLinkState, card, index)
        if state is None:
            return  # the card has no more
        if state and (remote := _remote(nvml, driver, card, index)):
            yield _Lane(remote, driver.ask_or_none(_lane_gbps, nvml, card, index))


def _remote(nvml: Any, driver: Driver, card: Any, index: int) -> str | None:
    kind = driver.ask_or_none(nvml.nvmlDeviceGetNvLinkRemoteDeviceType, card, index)
    if kind == nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH:
        return A_SWITCH
    return driver.ask_or_none(lambda: pci_address(nvml.nvmlDeviceGetNvLinkRemotePciInfo(card, index)))


def _lane_gbps(nvml: Any, card: Any, index: int) -> float | None:
    # What the driver says is the rate on the wire. Older ones do not say it.
    try:
        (field,) = nvml.nvmlDeviceGetFieldValues(card, [(nvml.NVML_FI_DEV_NVLINK_GET_SPEED, index)])
    except nvml.NVMLError_NotSupported:
        field = None
    if field is not None and field.nvmlReturn == nvml.NVML_SUCCESS and field.value.uiVal:
        return field.value.uiVal * 8 / 1000  # from megabytes a second
    return LANE_GBPS.get(nvml.nvmlDeviceGetNvLinkVersion(card, index))


def _together_gbps(lanes: Iterable[_Lane]) -> float | None:
    each = [lane.gbps for lane in lanes]
    known = [gbps for gbps in each if gbps is not None]
    return sum(known) if len(known) == len(each) else None


@dataclass(frozen=True, slots=True)
class _Pair:
    nvml: Any
    driver: Driver
    first: Gpu
    second: Gpu

    def link(self, first_lanes: Sequence[_Lane], second_lanes: Sequence[_Lane]) -> Link:
        """The best way from one card to the other."""
        direct = [lane for lane in first_lanes if lane.remote == self.second.pci_address]
        if direct:
            return self._told(LinkKind.NVLINK, _together_gbps(direct))
        switched = [[lane for lane in lanes if lane.remote == A_SWITCH] for lanes in (first_lanes, second_lanes)]
        if all(switched) and self._reaches(self.nvml.NVML_P2P_CAPS_INDEX_NVLINK):
            return self._told(LinkKind.NVLINK, pcie.slower_gbps(*map(_together_gbps, switched)))
        return self._told(LinkKind.PCIE, self._pcie_gbps())

    def _told(self, kind: LinkKind, bandwidth_gbps: float | None) -> Link:
        return Link(
            ends=(self.first.device_id, self.second.device_id),
            kind=kind,
            bandwidth_gbps=bandwidth_gbps,
            peer_to_peer=self._peer_to_peer(),
        )

    def _peer_to_peer(self) -> bool | None:
        reads, writes = self._reaches(P2P_READ), self._reaches(self.nvml.NVML_P2P_CAPS_INDEX_WRITE)
        return None if reads is None or writes is None else reads and writes

    def _reaches(self, how: int) -> bool | None:
        status = self._ask(self.nvml.nvmlDeviceGetP2PStatus, how)
        return None if status is None else status == self.nvml.NVML_P2P_STATUS_OK

    def _pcie_gbps(self) -> float | None:
        # How fast it is from one processor socket to the other, the cards do not know.
        meeting = self._ask(self.nvml.nvmlDeviceGetTopologyCommonAncestor)
        if meeting is None or meeting >= self.nvml.NVML_TOPOLOGY_SYSTEM:
            return None
        return pcie.slower_gbps(self._slot_gbps(self.first), self._slot_gbps(self.second))

    def _slot_gbps(self, gpu: Gpu) -> float | None:
        return self.driver.ask_or_none(_slot_gbps, self.nvml, gpu.place.card)

    def _ask(self, call: Any, *arguments: object) -> Any:
        return self.driver.ask_or_none(call, self.first.place.card, self.second.place.card, *arguments)


def _slot_gbps(nvml: Any, card: Any) -> float | None:
    # The most that card and slot can do: an idle card goes down to a lower generation.
    generation = nvml.nvmlDeviceGetMaxPcieLinkGeneration(card)
    return pcie.bandwidth_gbps(generation, nvml.nvmlDeviceGetMaxPcieLinkWidth(card))
