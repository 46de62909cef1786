"""GPUs that hung: their drivers leave a dump in /sys/class/devcoredump, where it lies for five minutes.

See drivers/base/devcoredump.c in the kernel. xe, msm and amdgpu use it; i915 does not.
"""

from pathlib import Path

from fleetfold_contracts.ids import DeviceId
from fleetfold_devices.kernel.sysfs import matching
from fleetfold_devices.port import Fault

CODE = "devcoredump"


class CoreDumps:
    """The dumps of this host's devices. Those that were there before us are not told of again."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._told = frozenset(self._there())

    def faults(self, device_ids: dict[Path, DeviceId]) -> tuple[Fault, ...]:
        """The faults of these devices, by their directories in sysfs, since this was last asked."""
        there = self._there()
        new, self._told = [dump for dump in there if dump not in self._told], frozenset(there)
        failed = [(dump, device_ids.get((dump / "failing_device").resolve())) for dump in new]
        return tuple(
            Fault(device_id, CODE, f"the GPU hung and was reset; its driver left a dump in {dump}/data")
            for dump, device_id in failed
            if device_id is not None
        )

    def _there(self) -> list[Path]:
        return matching(self._root, "sys/class/devcoredump/devcd*")
