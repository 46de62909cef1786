"""Intel's GPUs under Linux, read from what the kernel's drivers xe and i915 tell.

- Memory: the driver's answer to a query (`drm_query.py`), or the sum over programs (`fdinfo.py`). An integrated GPU
  works in the host's.
- Utilization: how long programs kept the engines busy that render and compute (`fdinfo.py`).
- Temperature, power and its limit: hwmon. See sysfs-driver-intel-xe-hwmon and sysfs-driver-intel-i915-hwmon under
  Documentation/ABI/testing in the kernel.
- Clock and throttling: files of each GT. See the kernel's drivers/gpu/drm/xe/xe_gt_freq.c and xe_gt_throttle.c, and
  drivers/gpu/drm/i915/gt/intel_gt_sysfs_pm.c.

A card that is asleep is left asleep: most of these files would wake it.
"""

from collections.abc import Sequence
from pathlib import Path

from fleetfold_contracts.ids import DeviceId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.kernel.counters import Counters
from fleetfold_devices.kernel.drm_query import LocalMemory, local_memory
from fleetfold_devices.kernel.fdinfo import Client, Clients, processes
from fleetfold_devices.kernel.pci import pci_name
from fleetfold_devices.kernel.source import KernelSource
from fleetfold_devices.kernel.sysfs import (
    Reads,
    driver_version,
    hwmon,
    is_directory,
    link_name,
    matching,
    probes,
    read_first_int,
    read_int,
    shared_memory,
    text_or_none,
)
from fleetfold_devices.meter import AbsentError, Meter, Probe
from fleetfold_devices.port import DeviceLostError, Wanted

DRIVERS = frozenset({"xe", "i915"})

VENDOR_ID = 0x8086
INTEGRATED = "0000:00:02.0"
"""Where a GPU that is a part of Intel's processors sits."""

LOCAL_REGIONS = ("local", "vram")
"""How the names of a card's own memory begin, at i915 and xe."""

ENERGY_COUNTERS = ("energy1_input", "energy2_input")
"""Microjoules of the whole card, and of its main chip. Some cards have the second alone, or the first stands at 0."""
TEMPERATURES = ("temp1_input", "temp2_input")
"""Of the package, at i915 and xe."""
POWER_LIMITS = ("power1_max", "power1_cap", "power2_max", "power2_cap")

MICRO = 1e-6
_REASONS = {
    ThrottleReason.POWER: {"pl1", "pl2", "pl4", "psys_pl1", "psys_pl2"},
    ThrottleReason.HEAT: {
        "thermal", "ratl", "vr_thermalert", "soc_thermal", "soc_avg_thermal", "mem_thermal", "vr_thermal",
    },
    ThrottleReason.HARDWARE: {"prochot", "vr_tdc", "iccmax", "fastvmode", "psys_crit"},
}  # fmt: skip
REASONS = {name: reason for reason, names in _REASONS.items() for name in names}
"""By the ends of the names of the files."""


class IntelSource(KernelSource):
    """All Intel GPUs of this host that the kernel shows to this process.

    The kernel tells no serial number of a GPU: it is known by its slot in the node and its PCI device id.
    """

    name = Vendor.INTEL.value
    without_driver = "no GPU has the driver xe or i915"
    remedy = "load the driver xe or i915 (modprobe xe); a container needs /sys and /dev/dri"

    def _devices(self) -> list[Path]:
        cards = matching(self._root, "sys/class/drm/card*")
        devices = {(card / "device").resolve() for card in cards if _driver(card / "device") in DRIVERS}
        return sorted(devices, key=lambda device: device.name)

    def _identified(self, device: Path, counters: Counters) -> tuple[Capabilities, Meter]:
        card = _Card(device, self._root, self._clients, counters)
        pci_id = read_int(device / "device", base=16)
        device_id = token(f"{self._node_id}-{device.name}-{pci_id:04x}")
        return _capabilities(card, device_id, pci_id, self._root), card.meter(device_id, self._wanted)


def _driver(device: Path) -> str:
    return link_name(device / "driver")


def _capabilities(card: "_Card", device_id: DeviceId, pci_id: int, root: Path) -> Capabilities:
    device_name = f"Intel {pci_name(root, VENDOR_ID, pci_id) or f'GPU {pci_id:04x}'}"
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.INTEL_XE,
        device_name=device_name,
        vendor=Vendor.INTEL,
        max_memory_bytes=card.own_memory_bytes or host_memory_bytes(),
        unified_memory=card.own_memory_bytes is None,
        driver_version=driver_version(root, card.driver),
        model=short_name(device_name),
        pci_address=card.address,
    )


class _Card:
    """One GPU. Its numbers in sysfs may be others when it comes back, its PCI address is not."""

    def __init__(self, device: Path, root: Path, clients: Clients, counters: Counters) -> None:
        self.address = device.name
        self.driver = _driver(device)
        self._device = device
        self._root = root
        self._clients = clients
        self._counters = counters
        self.own_memory_bytes = self._own_memory_bytes()
        """None: it works in the host's memory."""

    def meter(self, device_id: DeviceId, wanted: Wanted) -> Meter:
        reads: Reads = {
            meter.MEMORY: self._memory,
            meter.UTILIZATION: self._busy,
            meter.POWER: self._power,
            meter.POWER_LIMIT: self._power_limit,
            meter.TEMPERATURE: self._temperature,
            meter.CLOCK: self._clock,
            meter.THROTTLING: self._throttling,
        }
        health_probes = [Probe(meter.PROCESSES, self._processes)]
        return Meter(device_id, probes(reads, self._check_there), health_probes, wanted=wanted, gate=self._check_awake)

    def _check_awake(self) -> None:
        self._check_there()
        # Documentation/ABI/testing/sysfs-devices-power. Reading it wakes nothing.
        if text_or_none(self._device / "power/runtime_status") == "suspended":
            self._counters.forget()
            raise AbsentError(Absence.ASLEEP)

    def _check_there(self) -> None:
        if not is_directory(self._device / "drm"):
            self._counters.forget()
            raise DeviceLostError(f"{self._device} is gone")

    def _own_memory_bytes(self) -> int | None:
        try:
            told = self._asked_for_memory()
        except AbsentError as refused:
            files = matching(self._device, "tile*/physical_vram_size_bytes")
            total_bytes = sum(map(read_int, files or matching(self._device, "drm/card*/lmem_total_bytes")))
            if not total_bytes and self.address != INTEGRATED:
                raise AbsentError(Absence.ERROR, f"its memory is not told: {refused}") from refused
            return total_bytes or None
        return told.total_bytes if told else None

    def _asked_for_memory(self) -> LocalMemory | None:
        for node in matching(self._device, "drm/renderD*"):
            return local_memory(self.driver, self._root / "dev/dri" / node.name)
        raise AbsentError(Absence.UNSUPPORTED, "it has no render node")

    def _memory(self) -> Sequence[object]:
        if self.own_memory_bytes is None:
            return shared_memory(self._root)
        try:
            return meter.memory(self._used_bytes(), self.own_memory_bytes)
        except AbsentError as hidden:
            return hidden.reason, self.own_memory_bytes

    def _used_bytes(self) -> int:
        try:
            told = self._asked_for_memory()
        except AbsentError:
            told = None
        if told and told.used_bytes is not None:
            return told.used_bytes
        return sum(map(_local_bytes, self._own_clients()))

    def _own_clients(self) -> tuple[Client, ...]:
        return self._clients.of(self.driver, self.address)

    def _busy(self) -> Sequence[object]:
        return (self._counters.utilization.percent(self._own_clients()),)

    def _power(self) -> Sequence[object]:
        sensors = self._sensors()
        try:
            return (read_int(sensors / "power1_input") * MICRO,)
        except AbsentError as error:
            if not error.for_good:
                raise
        return (self._counters.energy.per_s(*_energy(sensors)) * MICRO,)

    def _power_limit(self) -> Sequence[object]:
        sensors = self._sensors()
        microwatts = read_first_int(*(sensors / name for name in POWER_LIMITS))
        if not microwatts:
            raise AbsentError(Absence.DISABLED, "0 says that there is no limit")
        return (microwatts * MICRO,)

    def _temperature(self) -> Sequence[object]:
        sensors = self._sensors()
        return (read_first_int(*(sensors / name for name in TEMPERATURES)) / 1000,)

    def _sensors(self) -> Path:
        return hwmon(self._device, self.driver)

    def _clock(self) -> Sequence[object]:
        # A tile's first GT is the one that computes. In its sleep it has, truly, 0 MHz.
        tiles = matching(self._device, "tile*")
        files = [file for tile in tiles for file in matching(tile, "gt*/freq0/act_freq")[:1]]
        files = files or matching(self._device, "drm/card*/gt_act_freq_mhz")
        if not files:
            raise AbsentError(Absence.UNSUPPORTED, for_good=True)
        return (max(map(read_int, files)),)

    def _throttling(self) -> Sequence[object]:
        files = matching(self._device, "tile*/gt*/freq0/throttle/status")
        files = files or matching(self._device, "drm/card*/gt/gt*/throttle_reason_status")
        if not files:
            raise AbsentError(Absence.UNSUPPORTED, for_good=True)
        names = {name for file in files if read_int(file) for name in _reasons_beside(file)}
        return meter.throttling({REASONS.get(name, ThrottleReason.OTHER) for name in names})

    def _processes(self) -> Sequence[object]:
        own_memory = None if self.own_memory_bytes is None else _local_bytes
        return (processes(self._own_clients(), self._root, own_memory),)


def _local_bytes(client: Client) -> int:
    return sum(used for region, used in client.memory_bytes.items() if region.startswith(LOCAL_REGIONS))


def _energy(sensors: Path) -> tuple[str, int]:
    for name in ENERGY_COUNTERS:
        try:
            microjoules = read_int(sensors / name)
        except AbsentError as error:
            if not error.for_good:
                raise
            continue
        if microjoules:
            return name, microjoules
    raise AbsentError(Absence.UNSUPPORTED, "no counter of energy, or none that counts", for_good=True)


def _reasons_beside(status: Path) -> set[str]:
    ends = {file: file.name.rpartition("reason_")[2] for file in matching(status.parent, "*reason_*")}
    return {end for file, end in ends.items() if file != status and read_int(file)} or {"unknown"}
