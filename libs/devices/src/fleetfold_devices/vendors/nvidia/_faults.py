"""The faults that NVIDIA's driver reports: XIDs, and errors of the memory that could not be made good in silence."""

import contextlib
import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

from fleetfold_devices.library.binding import Driver
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import DeviceLostError, Fault, VendorUnavailableError
from fleetfold_devices.vendors.nvidia._places import Gpu
from fleetfold_devices.vendors.nvidia._xids import MEANINGS

AT_ONCE_MAX = 256
"""No more events are read at once. The driver keeps the others."""

WHOLE_CARD = 0xFFFF_FFFF
"""What an event has for an instance where it befell the whole card."""

XID = 0x0008
OTHERS = {
    0x0002: ("ECC double-bit", "memory held two wrong bits in one word, which cannot be corrected"),
    0x0200: ("ECC storm", "many single wrong bits are being corrected in the memory"),
    0x0400: ("memory retirement", "a bad part of the memory is taken out of use"),
    0x0800: ("memory retirement failed", "a bad part of the memory could not be taken out of use"),
    0x1000: ("poison", "a program met data known to be damaged, and was ended"),
    0x2000: ("fatal poison", "data known to be damaged were used, and the GPU must be reset"),
    0x4000: ("GPU unavailable", "the GPU cannot be used until it is reset"),
    0x8000: ("recovery action", "what the driver advises for the recovery of the GPU has changed"),
}
"""By NVML's event types (nvml.h, nvmlEventType): a code, and what it means. Single wrong bits are corrected, and only
counted. Changes of clocks and of power states are no faults."""


class FaultWatch:
    """Listens to cards. Where a driver reports no faults, there are none."""

    def __init__(self, nvml: Any, driver: Driver) -> None:
        self._nvml = nvml
        self._driver = driver
        self._events = driver.ask_or_none(nvml.nvmlEventSetCreate)
        self._heard: set[int] = set()
        self._gpus: Sequence[Gpu] = ()

    def listen_to(self, gpus: Sequence[Gpu]) -> None:
        """Tell of the faults of these from now on."""
        self._gpus = gpus
        for card in (gpu.place.card for gpu in gpus):
            if self._events is not None and _address(card) not in self._heard:
                self._heard.add(_address(card))
                self._register(card)

    def read(self) -> tuple[Fault, ...]:
        """The faults since this was last asked. Does not wait for any."""
        return tuple(fault for event in self._pending() for fault in self._told(event))

    def close(self) -> None:
        """Stop listening."""
        if self._events is not None:
            # A driver that is gone has let go of it.
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlEventSetFree(self._events)

    def _register(self, card: Any) -> None:
        try:
            known = self._driver.ask(self._nvml.nvmlDeviceGetSupportedEventTypes, card)
            self._driver.ask(self._nvml.nvmlDeviceRegisterEvents, card, known & (XID | sum(OTHERS)), self._events)
        except (AbsentError, DeviceLostError):
            return  # this card reports none

    def _pending(self) -> Iterator[Any]:
        if self._events is None:
            return
        for _ in range(AT_ONCE_MAX):
            try:
                yield self._driver.ask(self._nvml.nvmlEventSetWait, self._events, 0)
            except (AbsentError, DeviceLostError, VendorUnavailableError):
                # There are no more; or a card or the driver is gone, which its readings tell.
                return

    def _told(self, event: Any) -> Iterator[Fault]:
        if event.eventType == XID:
            code, meaning = f"XID {event.eventData}", MEANINGS.get(event.eventData, "")
        else:
            code, meaning = OTHERS.get(event.eventType, (f"event {event.eventType:#x}", ""))
        return (Fault(gpu.device_id, code, meaning) for gpu in self._gpus if _befell(event, gpu))


def _befell(event: Any, gpu: Gpu) -> bool:
    # What befalls a card befalls all its instances.
    if _address(event.device) != _address(gpu.place.card):
        return False
    return gpu.place.instance_id is None or event.gpuInstanceId in {WHOLE_CARD, gpu.place.instance_id}


def _address(handle: Any) -> int:
    # NVML has one handle for a card, which the binding wraps anew each time.
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
