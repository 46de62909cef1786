"""What never changes about a GPU of AMD's, as AMD SMI tells it."""

from typing import Any

from fleetfold_contracts.ids import DeviceId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.precisions import of_gfx
from fleetfold_devices.vendors.amd._places import Place
from fleetfold_devices.vendors.amd._readings import usable_memory_bytes
from fleetfold_devices.vendors.amd._smi import figure

MATRIX_CORES = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
"""Architectures with matrix instructions, since CDNA and RDNA 3 (LLVM, "User Guide for AMDGPU Backend")."""


def capabilities(smi: Any, driver: Driver, place: Place, card_id: DeviceId, *, unified_memory: bool) -> Capabilities:
    """What a card or a partition tells of itself."""
    asic = driver.ask(smi.amdsmi_get_gpu_asic_info, place.handle)
    device_name = text(asic["market_name"]) or "AMD GPU"
    ask_whole = _nothing if place.is_partition else driver.ask_or_none
    own_memory_bytes = None if unified_memory else driver.ask(usable_memory_bytes, smi, place)
    return Capabilities(
        device_id=token(f"{card_id}-p{place.partition}") if place.is_partition else card_id,
        device_type=DeviceType.ROCM,
        device_name=device_name,
        vendor=Vendor.AMD,
        max_memory_bytes=own_memory_bytes or host_memory_bytes(),
        unified_memory=unified_memory,
        # Of a partition the library tells the whole card's, in some versions.
        compute_units=ask_whole(figure, asic["num_compute_units"]),
        memory_bandwidth_gbps=ask_whole(_memory_bandwidth_gbps, smi, place.handle),
        driver_version=driver.ask_or_none(_driver_version, smi, place.handle),
        supports_fp64=True,  # as has every architecture that ROCm runs on
        supports_tensor_cores=asic["target_graphics_version"].startswith(MATRIX_CORES),
        precisions=of_gfx(asic["target_graphics_version"]),
        model=short_name(device_name),
        partition_of=card_id if place.is_partition else None,
        pci_address=place.pci_address,
    )


def text(value: str) -> str | None:
    """A text, None where the binding says that there is none."""
    return None if value in {"", "N/A"} else value


def _nothing(*_: object) -> None:
    return None


def _driver_version(smi: Any, handle: Any) -> str | None:
    return text(smi.amdsmi_get_gpu_driver_info(handle)["driver_version"])


def _memory_bandwidth_gbps(smi: Any, handle: Any) -> float | None:
    # The library counts in GB/s, and gives 0 where it does not know.
    return figure(smi.amdsmi_get_gpu_vram_info(handle)["vram_max_bandwidth"]) or None
