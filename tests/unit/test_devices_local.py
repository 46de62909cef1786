"""Which vendors are opened on a machine: those of whose drivers there is a sign."""

import subprocess
import sys
from pathlib import Path

import pytest

from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.local import ADAPTERS, SIGNS, shows_signs

NVIDIA_IN_A_CONTAINER = "dev/nvidiactl"
AMD_CARD = "sys/bus/pci/drivers/amdgpu/0000:03:00.0"
INTEL_CARD = "sys/bus/pci/drivers/xe/0000:00:02.0"
INTEL_WITHOUT_A_CARD = "sys/bus/pci/drivers/i915/module"
ADRENO = "sys/bus/platform/drivers/adreno/3d00000.gpu"


def machine(root: Path, *paths: str) -> set[Vendor]:
    """The vendors that a machine with such files shows signs of."""
    for path in paths:
        (root / path).mkdir(parents=True)
    return {vendor for vendor in ADAPTERS if shows_signs(vendor, root)}


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has, NVIDIA's library cannot be loaded."""
    monkeypatch.setattr("fleetfold_devices.local.NVIDIA_LIBRARY", "libno-such-library.so.1")


def test_a_machine_without_drivers_shows_no_sign(tmp_path: Path) -> None:
    assert machine(tmp_path) == set()
    assert machine(tmp_path, INTEL_WITHOUT_A_CARD) == set()


def test_each_driver_that_has_a_card_is_a_sign(tmp_path: Path) -> None:
    found = machine(tmp_path, NVIDIA_IN_A_CONTAINER, AMD_CARD, INTEL_CARD, ADRENO)
    assert found == {Vendor.NVIDIA, Vendor.AMD, Vendor.INTEL, Vendor.QUALCOMM}


def test_every_vendor_that_can_be_opened_has_signs() -> None:
    assert set(SIGNS) == set(ADAPTERS)


def test_a_library_without_a_card_is_a_sign_so_that_what_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleetfold_devices.local.NVIDIA_LIBRARY", "libc.so.6")
    assert machine(tmp_path) == {Vendor.NVIDIA}


def test_no_adapter_is_imported_before_a_source_is_opened() -> None:
    program = """if True:
        import sys, fleetfold_devices.isolation.child
        adapters = {f"fleetfold_devices.{name}" for name in ("nvidia", "amd", "intel", "apple", "qualcomm")}
        sys.exit(not adapters.isdisjoint(sys.modules))
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
