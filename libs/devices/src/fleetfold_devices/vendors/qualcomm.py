"""Qualcomm's GPUs, Adreno: read from the kernel's driver msm, or on Android from kgsl, Qualcomm's own.

Neither tells power, and the GPU has no memory of its own: it works in the host's. A system on a chip has one GPU.
"""

from collections.abc import Sequence
from pathlib import Path

from fleetfold_contracts.ids import DeviceId, NodeId, token
from fleetfold_contracts.inventory import Capabilities, DeviceType, Vendor
from fleetfold_contracts.samples import Absence, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.host import ROOT, host_memory_bytes
from fleetfold_devices.kernel.counters import Counters
from fleetfold_devices.kernel.fdinfo import Client, Clients, processes
from fleetfold_devices.kernel.source import KernelSource
from fleetfold_devices.kernel.sysfs import (
    Reads,
    as_int,
    driver_version,
    is_directory,
    link_name,
    matching,
    probes,
    read_int,
    read_text,
    shared_memory,
    text_or_none,
)
from fleetfold_devices.meter import AbsentError, Meter, Probe
from fleetfold_devices.port import USUALLY_WANTED, DeviceLostError, Wanted

KGSL = "sys/class/kgsl/kgsl-3d0"
MSM_DRIVER = "adreno"
"""The part of msm that drives the GPU. On other chips devfreq has GPUs of other makers."""
COMPATIBLE = "qcom,adreno-"

HZ_A_MHZ = 1e6
MILLIDEGREES_MIN = 1000
"""A lower number is in whole degrees: so count the oldest kernels."""


def qualcomm_source(node_id: NodeId, wanted: Wanted = USUALLY_WANTED, *, root: Path = ROOT) -> KernelSource:
    """The GPU of this host, by the driver that it has.

    Raises:
        VendorUnavailableError: there is none with a driver.
    """
    driver = KgslSource if is_directory(root / KGSL) else MsmSource
    return driver(node_id, wanted, root=root)


class MsmSource(KernelSource):
    """A GPU with the driver msm.

    Its clock is told by devfreq (the kernel's Documentation/ABI/testing/sysfs-class-devfreq), its temperature by the
    thermal zones that are named after it, and whether heat holds it down by the cooling device that slows it
    (drivers/thermal/devfreq_cooling.c).
    """

    name = Vendor.QUALCOMM.value
    without_driver = "no Adreno GPU has the driver msm or kgsl"
    remedy = (
        "under Linux load the driver msm (modprobe msm); on Android the agent must be allowed to read /sys/class/kgsl, "
        "as root or from adb shell"
    )

    def _devices(self) -> list[Path]:
        devices = [entry / "device" for entry in matching(self._root, "sys/class/devfreq/*")]
        return sorted({device.resolve() for device in devices if link_name(device / "driver") == MSM_DRIVER})

    def _identified(self, device: Path, counters: Counters) -> tuple[Capabilities, Meter]:
        device_id = token(f"{self._node_id}-{device.name}")
        gpu = _MsmGpu(device, self._root, self._clients, counters)
        return _capabilities(device_id, gpu.model, "msm", self._root), gpu.meter(device_id, self._wanted)


class KgslSource(KernelSource):
    """A GPU with the driver kgsl.

    Its files are made by kgsl_pwrctrl.c in Qualcomm's kernels. `gpubusy` is the busy time and all the time, in
    microseconds, of the last window that was measured, about a second. Both are 0 while the GPU is off.
    """

    name = MsmSource.name
    without_driver = MsmSource.without_driver
    remedy = MsmSource.remedy
    programs = False

    def _devices(self) -> list[Path]:
        device = self._root / KGSL
        return [device.resolve()] if is_directory(device) else []

    def _identified(self, device: Path, counters: Counters) -> tuple[Capabilities, Meter]:  # noqa: ARG002  # none needed
        device_id = token(f"{self._node_id}-{device.name}")
        model = text_or_none(device / "gpu_model") or "Adreno"
        gpu = _KgslGpu(device, self._root)
        return _capabilities(device_id, model, "kgsl", self._root), gpu.meter(device_id, self._wanted)


def _capabilities(device_id: DeviceId, model: str, driver: str, root: Path) -> Capabilities:
    android = (root / "system/build.prop").exists()
    device_name = f"Qualcomm {model}"
    return Capabilities(
        device_id=device_id,
        device_type=DeviceType.VULKAN_ANDROID if android else DeviceType.VULKAN_LINUX,
        device_name=device_name,
        vendor=Vendor.QUALCOMM,
        max_memory_bytes=host_memory_bytes(),
        unified_memory=True,
        driver_version=driver_version(root, driver),
        model=short_name(device_name),
    )


class _MsmGpu:
    def __init__(self, device: Path, root: Path, clients: Clients, counters: Counters) -> None:
        self._device = device
        self._root = root
        self._clients = clients
        self._counters = counters
        self._zones = _named(root, "thermal_zone*", "gpu")
        self._cooling = _named(root, "cooling_device*", f"devfreq-{device.name}")

    @property
    def model(self) -> str:
        # Several words, each ended by a zero byte: `qcom,adreno-690.0` and `qcom,adreno`.
        first, *_ = (text_or_none(self._device / "of_node/compatible") or "").split("\0")
        number = first.removeprefix(COMPATIBLE).partition(".")[0] if first.startswith(COMPATIBLE) else ""
        return f"Adreno {number}".strip()

    def meter(self, device_id: DeviceId, wanted: Wanted) -> Meter:
        reads: Reads = {
            meter.MEMORY: lambda: shared_memory(self._root),
            meter.UTILIZATION: self._busy,
            meter.TEMPERATURE: self._temperature,
            meter.CLOCK: self._clock,
            meter.THROTTLING: self._throttling,
        }
        health_probes = [Probe(meter.PROCESSES, self._processes)]
        return Meter(device_id, probes(reads, self._check_there), health_probes, wanted=wanted, gate=self._check_there)

    def _check_there(self) -> None:
        if not is_directory(self._device / "devfreq"):
            self._counters.forget()
            raise DeviceLostError(f"{self._device} is gone")

    def _own_clients(self) -> tuple[Client, ...]:
        return self._clients.of("msm")

    def _busy(self) -> Sequence[object]:
        for file in matching(self._device, "devfreq/*/load"):
            # Not in the kernel itself, but in some vendors': `37@450000000Hz`, or the percentage alone.
            return (as_int(read_text(file).partition("@")[0], file),)
        return (self._counters.utilization.percent(self._own_clients()),)

    def _temperature(self) -> Sequence[object]:
        return (_hottest(self._zones),)

    def _clock(self) -> Sequence[object]:
        for devfreq in matching(self._device, "devfreq/*"):
            return (read_int(devfreq / "cur_freq") / HZ_A_MHZ,)
        raise AbsentError(Absence.UNSUPPORTED)

    def _throttling(self) -> Sequence[object]:
        return _held_down_by_heat([device / "cur_state" for device in self._cooling])

    def _processes(self) -> Sequence[object]:
        return (processes(self._own_clients(), self._root, None),)


class _KgslGpu:
    def __init__(self, device: Path, root: Path) -> None:
        self._device = device
        self._root = root

    def meter(self, device_id: DeviceId, wanted: Wanted) -> Meter:
        reads: Reads = {
            meter.MEMORY: lambda: shared_memory(self._root),
            meter.UTILIZATION: self._busy,
            meter.TEMPERATURE: self._temperature,
            meter.CLOCK: self._clock,
            meter.THROTTLING: self._throttling,
        }
        return Meter(device_id, probes(reads, self._check_there), wanted=wanted, gate=self._check_there)

    def _check_there(self) -> None:
        if not is_directory(self._device):
            raise DeviceLostError(f"{self._device} is gone")

    def _busy(self) -> Sequence[object]:
        file = self._device / "gpubusy"
        busy, _, whole = read_text(file).partition(" ")
        busy_us, all_us = as_int(busy, file), as_int(whole, file)
        if not all_us:
            raise AbsentError(Absence.ASLEEP, "it was off, and nothing was measured")
        return (100 * busy_us / all_us,)

    def _temperature(self) -> Sequence[object]:
        return (_celsius(read_int(self._device / "temp")),)

    def _clock(self) -> Sequence[object]:
        return (read_int(self._device / "gpuclk") / HZ_A_MHZ,)

    def _throttling(self) -> Sequence[object]:
        return _held_down_by_heat([self._device / "thermal_pwrlevel"])


def _named(root: Path, pattern: str, name: str) -> list[Path]:
    """The thermal zones or cooling devices whose type begins with a name."""
    found = matching(root, f"sys/class/thermal/{pattern}")
    return [entry for entry in found if (text_or_none(entry / "type") or "").startswith(name)]


def _hottest(zones: list[Path]) -> float:
    if not zones:
        raise AbsentError(Absence.UNSUPPORTED, for_good=True)
    return max(_celsius(read_int(zone / "temp")) for zone in zones)


def _celsius(number: int) -> float:
    if not number:
        raise AbsentError(Absence.ERROR, "0 says that no sensor answered")
    return number / 1000 if abs(number) >= MILLIDEGREES_MIN else float(number)


def _held_down_by_heat(files: list[Path]) -> Sequence[object]:
    # Each tells how many steps of its clock are forbidden.
    if not files:
        raise AbsentError(Absence.UNSUPPORTED, for_good=True)
    return meter.throttling({ThrottleReason.HEAT for file in files if read_int(file) > 0})
