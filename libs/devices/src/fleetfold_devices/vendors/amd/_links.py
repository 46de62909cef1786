"""The links between AMD's GPUs: XGMI, and else PCI Express."""

import contextlib
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from fleetfold_contracts.inventory import Link, LinkKind
from fleetfold_devices.library import pcie
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.port import DeviceLostError
from fleetfold_devices.vendors.amd._places import Gpu
from fleetfold_devices.vendors.amd._smi import figure


def links(smi: Any, driver: Driver, gpus: Sequence[Gpu]) -> tuple[Link, ...]:
    """The links between each two that answer."""
    found: list[Link] = []
    for first, second in combinations(gpus, 2):
        with contextlib.suppress(DeviceLostError):
            link = _link(smi, driver, first, second)
            found += [link] if link else []
    return tuple(found)


def _link(smi: Any, driver: Driver, first: Gpu, second: Gpu) -> Link | None:
    pair = first.place.handle, second.place.handle
    told = driver.ask_or_none(smi.amdsmi_topo_get_link_type, *pair)
    kind = _kinds(smi).get(told["type"]) if told else None
    if kind is None:
        return None
    gbps = _xgmi_gbps if kind is LinkKind.XGMI else _pcie_gbps
    return Link(
        ends=(first.device_id, second.device_id),
        kind=kind,
        bandwidth_gbps=driver.ask_or_none(gbps, smi, *pair),
        peer_to_peer=driver.ask_or_none(smi.amdsmi_is_P2P_accessible, *pair),
    )


def _kinds(smi: Any) -> dict[int, LinkKind]:
    types = smi.amdsmi_wrapper
    return {
        types.AMDSMI_LINK_TYPE_PCIE: LinkKind.PCIE,
        types.AMDSMI_LINK_TYPE_XGMI: LinkKind.XGMI,
        # The partitions of a card are joined by the same fabric.
        types.AMDSMI_LINK_TYPE_INTERNAL: LinkKind.XGMI,
    }


def _xgmi_gbps(smi: Any, first: Any, second: Any) -> float | None:
    # From megabytes a second. Where others lie between the two it is 0.
    told = smi.amdsmi_get_minmax_bandwidth_between_processors(first, second)
    return figure(told["max_bandwidth"]) * 8 / 1000 or None


def _pcie_gbps(smi: Any, first: Any, second: Any) -> float | None:
    return pcie.slower_gbps(_slot_gbps(smi, first), _slot_gbps(smi, second))


def _slot_gbps(smi: Any, handle: Any) -> float | None:
    slot = smi.amdsmi_get_pcie_info(handle)["pcie_static"]
    generation = pcie.generation(figure(slot["max_pcie_speed"]) / 1000)  # from megatransfers a second
    return pcie.bandwidth_gbps(generation, figure(slot["max_pcie_width"]))
