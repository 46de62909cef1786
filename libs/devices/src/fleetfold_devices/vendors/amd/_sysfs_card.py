"""One card of AMD's, read from the files of the kernel's driver amdgpu.

See "GPU Power/Thermal Controls and Monitoring" and "RAS Support" of the kernel's amdgpu documentation. Of sensors, the
driver gives temperatures in thousandths of a degree, powers in microwatts and clocks in hertz.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import host_memory_bytes
from fleetfold_devices.kernel.fdinfo import Client, Clients, processes
from fleetfold_devices.kernel.pci import pci_name
from fleetfold_devices.kernel.sysfs import (
    Reads,
    hwmon,
    is_directory,
    matching,
    probes,
    read_first_int,
    read_int,
    read_text,
    shared_memory,
    text_or_none,
)
from fleetfold_devices.library import pcie
from fleetfold_devices.meter import AbsentError, Meter
from fleetfold_devices.port import DeviceLostError, Wanted
from fleetfold_devices.precisions import of_gfx
from fleetfold_devices.vendors.amd._identity import MATRIX_CORES
from fleetfold_devices.vendors.amd._kfd import compute_node
from fleetfold_devices.vendors.amd._throttling import APU_TABLES, by_status

DRIVER = "amdgpu"
VENDOR_ID = 0x1002

NAMES = "usr/share/libdrm/amdgpu.ids"
"""Lines of device id, revision and name, as libdrm brings them."""

MICRO = 1e-6

TABLE_HEADER = struct.Struct("<HBB")
"""Of the file gpu_metrics: size, format and content revision (struct metrics_table_header, kgd_pp_interface.h)."""
STATUS_TABLE = (1, 3)
STATUS = struct.Struct("<112xQ")
"""Where `indep_throttle_status` stands in a table of that revision (struct gpu_metrics_v1_3)."""

_ACTIVE_MHZ = re.compile(r"(\d{1,7})Mhz \*")
_SPEED = re.compile(r"(\d+(?:\.\d+)?) GT/s")
_COUNTED = re.compile(r"(\d{1,20}) (\d{1,20}) (\d{1,20})\Z")
_ERRORS = re.compile(r"^(ue|ce): (\d{1,20})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Card:
    """A card by its directory in sysfs."""

    device: Path
    root: Path
    clients: Clients

    @property
    def pci_address(self) -> str:
        """Such as `0000:03:00.0`."""
        return self.device.name

    @property
    def hive_id(self) -> int:
        """Cards with the same are joined by XGMI; 0 where a card has no such links."""
        try:
            return read_int(self.device / "xgmi_hive_info/xgmi_hive_id")
        except AbsentError:
            return 0

    @property
    def slot_gbps(self) -> float | None:
        """What its PCI Express link can carry, each way."""
        speed = _SPEED.match(text_or_none(self.device / "max_link_speed") or "")
        lanes = text_or_none(self.device / "max_link_width") or ""
        return (
            pcie.bandwidth_gbps(pcie.generation(float(speed[1])), int(lanes)) if speed and lanes.isdecimal() else None
        )

    def capabilities(self, device_id: DeviceId) -> Capabilities:
        """What never changes about it."""
        device_name = self._name()
        node = compute_node(self.root, self.pci_address)
        unified_memory = self._is_apu()
        return Capabilities(
            device_id=device_id,
            device_type=DeviceType.ROCM if node else DeviceType.VULKAN_LINUX,
            device_name=device_name,
            vendor=Vendor.AMD,
            max_memory_bytes=host_memory_bytes() if unified_memory else read_int(self.device / "mem_info_vram_total"),
            unified_memory=unified_memory,
            compute_units=node.compute_units if node else None,
            driver_version=self._driver_version(),
            supports_fp64=True,  # as has every card that the driver knows
            supports_tensor_cores=node.architecture.startswith(MATRIX_CORES) if node else None,
            precisions=of_gfx(node.architecture) if node else (),
            model=short_name(device_name),
            pci_address=self.pci_address,
        )

    def meter(self, device_id: DeviceId, wanted: Wanted, *, unified_memory: bool) -> Meter:
        """How to read it."""
        reads: Reads = {
            meter.MEMORY: self._host_memory if unified_memory else self._memory,
            meter.UTILIZATION: self._utilization,
            meter.POWER: self._power,
            meter.POWER_LIMIT: self._power_limit,
            meter.TEMPERATURE: self._temperature,
            meter.CLOCK: self._clock,
            meter.MEMORY_CLOCK: self._memory_clock,
            meter.THROTTLING: self._throttling,
            meter.PCIE_THROUGHPUT: self._pcie_throughput,
        }
        health_reads: Reads = {meter.ECC: self._ecc, meter.PROCESSES: self._processes}
        return Meter(
            device_id,
            probes(reads, self.check_there),
            probes(health_reads, self.check_there),
            wanted=wanted,
            gate=self._check_awake,
        )

    def check_there(self) -> None:
        """Make sure that it is there.

        Raises:
            DeviceLostError: it is gone.
        """
        if not is_directory(self.device):
            raise DeviceLostError(f"{self.device} is gone")

    def _check_awake(self) -> None:
        self.check_there()
        if self._is_asleep():
            raise AbsentError(Absence.ASLEEP, "reading would wake it")

    def _is_asleep(self) -> bool:
        return text_or_none(self.device / "power/runtime_status") == "suspended"

    def _is_apu(self) -> bool:
        # No APU sleeps apart from its host, and a card that does must not be woken.
        if self._is_asleep():
            return False
        try:
            return self._table_revision(self._table())[0] in APU_TABLES
        except AbsentError:
            return False

    def _name(self) -> str:
        device_id = read_int(self.device / "device", base=16)
        listed = _listed_name(self.root, device_id, read_int(self.device / "revision", base=16))
        known = text_or_none(self.device / "product_name") or listed
        return known or f"AMD {pci_name(self.root, VENDOR_ID, device_id) or f'GPU {device_id:04x}'}"

    def _driver_version(self) -> str | None:
        release = text_or_none(self.root / "proc/sys/kernel/osrelease")
        return text_or_none(self.device / "driver/module/version") or (
            f"{DRIVER} of Linux {release}" if release else None
        )

    def _memory(self) -> Sequence[object]:
        return meter.memory(*(read_int(self.device / f"mem_info_vram_{kind}") for kind in ("used", "total")))

    def _host_memory(self) -> Sequence[object]:
        return shared_memory(self.root)

    def _utilization(self) -> Sequence[object]:
        return (read_int(self.device / "gpu_busy_percent"),)

    def _power(self) -> Sequence[object]:
        return (read_first_int(self._sensor("power1_average"), self._sensor("power1_input")) * MICRO,)

    def _power_limit(self) -> Sequence[object]:
        return (read_int(self._sensor("power1_cap")) * MICRO,)

    def _temperature(self) -> Sequence[object]:
        # At the edge; the newer accelerators have a sensor at the hottest spot alone.
        return (read_first_int(self._sensor("temp1_input"), self._sensor("temp2_input")) / 1000,)

    def _clock(self) -> Sequence[object]:
        return (self._mhz("freq1_input", "pp_dpm_sclk"),)

    def _memory_clock(self) -> Sequence[object]:
        return (self._mhz("freq2_input", "pp_dpm_mclk"),)

    def _mhz(self, sensor: str, levels: str) -> float:
        try:
            return read_int(self._sensor(sensor)) * MICRO
        except AbsentError as error:
            if not error.for_good:
                raise
        # Without a sensor: the level marked by an asterisk.
        active = _ACTIVE_MHZ.search(read_text(self.device / levels))
        if active is None:
            raise AbsentError(Absence.ERROR, f"{levels} marks no level")
        return float(active[1])

    def _throttling(self) -> Sequence[object]:
        table = self._table()
        if self._table_revision(table) != STATUS_TABLE or len(table) < STATUS.size:
            raise AbsentError(Absence.UNSUPPORTED, "its table of figures has no such status", for_good=True)
        return by_status(*STATUS.unpack_from(table))

    def _pcie_throughput(self) -> Sequence[object]:
        # It counts packets for a second, and tells the size of the largest: this is the most that it can have been.
        counted = _COUNTED.match(read_text(self.device / "pcie_bw"))
        if counted is None:
            raise AbsentError(Absence.ERROR, "pcie_bw does not hold three numbers")
        received, sent, packet_bytes = map(int, counted.groups())
        return tuple(packets * packet_bytes * 8 * MICRO for packets in (received, sent))

    def _ecc(self) -> Sequence[object]:
        files = matching(self.device, "ras/*_err_count")
        if not files:
            raise AbsentError(Absence.UNSUPPORTED, for_good=True)
        counted = [(kind, int(count)) for file in files for kind, count in _ERRORS.findall(read_text(file))]
        return tuple(sum(count for kind, count in counted if kind == wanted) for wanted in ("ce", "ue"))

    def _processes(self) -> Sequence[object]:
        return (processes(self.clients.of(DRIVER, self.pci_address), self.root, _vram_bytes),)

    def _sensor(self, name: str) -> Path:
        return hwmon(self.device, DRIVER) / name

    def _table(self) -> bytes:
        try:
            return (self.device / "gpu_metrics").read_bytes()
        except FileNotFoundError as error:
            raise AbsentError(Absence.UNSUPPORTED, str(error), for_good=True) from error
        except OSError as error:
            raise AbsentError(Absence.ERROR, str(error)) from error

    def _table_revision(self, table: bytes) -> tuple[int, int]:
        if len(table) < TABLE_HEADER.size:
            raise AbsentError(Absence.ERROR, "its table of figures is cut off")
        _, layout, content = TABLE_HEADER.unpack_from(table)
        return layout, content


def _vram_bytes(client: Client) -> int:
    return client.memory_bytes.get("vram", 0)


def _listed_name(root: Path, device_id: int, revision: int) -> str | None:
    lines = (text_or_none(root / NAMES) or "").splitlines()
    rows = ([part.strip() for part in line.split(",", 2)] for line in lines if line.count(",") >= 2)
    wanted = [f"{device_id:04X}", f"{revision:02X}"]
    return next((name for *ids, name in rows if ids == wanted), None)
