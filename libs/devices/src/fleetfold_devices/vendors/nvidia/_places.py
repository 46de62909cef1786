"""Where work can run: the cards, and in place of a card that MIG has split its instances."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fleetfold_contracts.ids import DeviceId
from fleetfold_devices.library.binding import Driver
from fleetfold_devices.meter import Meter


@dataclass(frozen=True, slots=True)
class Place:
    """A card, or one of its instances. `handle` is its own, `card` its card's: a whole card is its own card."""

    handle: Any
    card: Any
    speaks_for_card: bool = True
    """Whether it tells what is counted for the whole card."""
    instance_id: int | None = None
    """NVML's number of the GPU instance, where it gives one."""

    @property
    def is_instance(self) -> bool:
        """Whether it is a part of a card."""
        return self.handle is not self.card


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device of the last discovery."""

    device_id: DeviceId
    place: Place
    pci_address: str | None
    meter: Meter


def places(nvml: Any, driver: Driver, card: Any) -> Iterator[Place]:
    """The places of a card. Where MIG is on, and no instance was made, there is none."""
    if not _is_split(nvml, driver, card):
        yield Place(card, card)
        return
    speaks_for_card = True
    for index in range(driver.ask(nvml.nvmlDeviceGetMaxMigDeviceCount, card)):
        # Between the instances there may be gaps.
        handle = driver.ask_or_none(nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, index)
        if handle is not None:
            yield Place(handle, card, speaks_for_card, driver.ask_or_none(nvml.nvmlDeviceGetGpuInstanceId, handle))
            speaks_for_card = False


def pci_address(info: Any) -> str:
    """A PCI address as Linux writes it, such as `0000:65:00.0`. NVML gives no function: it is always 0."""
    return f"{info.domain:04x}:{info.bus:02x}:{info.device:02x}.0"


def _is_split(nvml: Any, driver: Driver, card: Any) -> bool:
    modes = driver.ask_or_none(nvml.nvmlDeviceGetMigMode, card)
    return modes is not None and modes[0] == nvml.NVML_DEVICE_MIG_ENABLE
