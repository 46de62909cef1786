"""What never changes about a GPU of NVIDIA's."""

from typing import Any

from fleetfold_contracts.ids import DeviceId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.precisions import of_cuda
from fleetfold_devices.vendors.nvidia._places import Place, pci_address
from fleetfold_devices.vendors.nvidia._readings import usable_memory_bytes

CORES_PER_MULTIPROCESSOR = {
    (5, 0): 128, (5, 2): 128, (5, 3): 128,
    (6, 0): 64, (6, 1): 128, (6, 2): 128,
    (7, 0): 64, (7, 2): 64, (7, 5): 64,
    (8, 0): 64, (8, 6): 128, (8, 7): 128, (8, 9): 128,
    (9, 0): 128, (10, 0): 128, (10, 3): 128, (11, 0): 128, (12, 0): 128, (12, 1): 128,
}  # fmt: skip
"""By compute capability: 32-bit floating-point cores, from the CUDA C++ Programming Guide, "Compute Capabilities"."""


def device_id(nvml: Any, driver: Driver, handle: Any) -> DeviceId:
    """The UUID. It stays with the card, through restarts, reloads of the driver and other slots."""
    return driver.ask(lambda: token(nvml.nvmlDeviceGetUUID(handle)))


def capabilities(nvml: Any, driver: Driver, place: Place) -> Capabilities:
    """What a card or an instance tells of itself. What an instance cannot tell, its card does."""
    ask = driver.ask_or_none
    device_name = driver.ask(nvml.nvmlDeviceGetName, place.handle)
    capability = ask(nvml.nvmlDeviceGetCudaComputeCapability, place.card)
    own_memory_bytes = _own_memory_bytes(nvml, driver, place)
    return Capabilities(
        device_id=device_id(nvml, driver, place.handle),
        device_type=DeviceType.CUDA,
        device_name=device_name,
        vendor=Vendor.NVIDIA,
        max_memory_bytes=own_memory_bytes or host_memory_bytes(),
        unified_memory=not own_memory_bytes,
        compute_units=ask(_multiprocessors, nvml, place, capability),
        # NVML does not tell which share of it an instance has.
        memory_bandwidth_gbps=None if place.is_instance else ask(_memory_bandwidth_gbps, nvml, place.card),
        driver_version=ask(nvml.nvmlSystemGetDriverVersion),
        supports_fp64=None if capability is None else capability >= (1, 3),
        supports_tensor_cores=has_tensor_cores(capability, device_name),
        compute_capability=None if capability is None else "{}.{}".format(*capability),
        precisions=of_cuda(capability),
        model=short_name(device_name),
        partition_of=device_id(nvml, driver, place.card) if place.is_instance else None,
        pci_address=ask(lambda: pci_address(nvml.nvmlDeviceGetPciInfo(place.card))),
    )


def _own_memory_bytes(nvml: Any, driver: Driver, place: Place) -> int | None:
    try:
        return usable_memory_bytes(nvml, driver, place.handle)
    except AbsentError as error:
        if error.reason is not Absence.UNSUPPORTED or place.is_instance:
            raise
        return None


def _multiprocessors(nvml: Any, place: Place, capability: tuple[int, int] | None) -> int | None:
    if place.is_instance:
        return nvml.nvmlDeviceGetAttributes(place.handle).multiprocessorCount
    # NVML counts cores. A core means little across vendors; a multiprocessor is what others call a compute unit.
    cores = nvml.nvmlDeviceGetNumGpuCores(place.handle)
    each = CORES_PER_MULTIPROCESSOR.get(capability) if capability else None
    return cores // each if each else None


def has_tensor_cores(capability: tuple[int, int] | None, device_name: str) -> bool | None:
    """Whether a GPU has tensor cores: all since Volta (7.0) but Turing's GTX cards (7.5). None: it cannot be told."""
    if capability is None:
        return None
    if capability != (7, 5):
        return capability >= (7, 0)
    if "GTX" in device_name:
        return False
    return True if "RTX" in device_name or "T4" in device_name.split() else None


def _memory_bandwidth_gbps(nvml: Any, card: Any) -> float:
    """The most that the memory can move, in GB/s: its clock, times 2 for both edges, times the bus width in bytes.

    From NVIDIA's "How to Implement Performance Metrics in CUDA C/C++", theoretical bandwidth.
    """
    bus_width_bits = nvml.nvmlDeviceGetMemoryBusWidth(card)
    clock_mhz = nvml.nvmlDeviceGetMaxClockInfo(card, nvml.NVML_CLOCK_MEM)
    return clock_mhz * 2 * bus_width_bits / 8 / 1000
