"""The faults that AMD's driver reports."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from fleetfold_devices.library.binding import Driver
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.port import DeviceLostError, Fault, VendorUnavailableError
from fleetfold_devices.vendors.amd._places import Gpu

AT_ONCE_MAX = 256
"""No more events are read at once. The driver keeps the others."""

MEANINGS = {
    "VMFAULT": "a program touched memory of the GPU that is not its own or not mapped",
    "THERMAL_THROTTLE": "the GPU slows down because it is hot",
    "GPU_PRE_RESET": "the GPU hangs and is about to be reset: what runs on it is lost",
    "GPU_POST_RESET": "the GPU was reset",
}
"""By the library's event types. The others tell of memory that moves and of queues that wait: they are no faults."""


class FaultWatch:
    """Listens to GPUs. Where a driver reports no faults, there are none."""

    def __init__(self, smi: Any, driver: Driver) -> None:
        self._smi = smi
        self._driver = driver
        self._readers: dict[int, Any] = {}
        self._gpus: Sequence[Gpu] = ()

    def listen_to(self, gpus: Sequence[Gpu]) -> None:
        """Tell of the faults of these from now on."""
        self._gpus = gpus
        types = [self._smi.AmdSmiEvtNotificationType[name] for name in MEANINGS]
        for handle in (gpu.place.handle for gpu in gpus):
            if handle.value not in self._readers:
                with contextlib.suppress(DeviceLostError):
                    reader = self._driver.ask_or_none(self._smi.AmdSmiEventReader, handle, types)
                    self._readers[handle.value] = reader

    def read(self) -> tuple[Fault, ...]:
        """The faults since this was last asked. Does not wait for any."""
        device_ids = {gpu.place.handle.value: gpu.device_id for gpu in self._gpus}
        return tuple(
            Fault(device_ids[event["processor_handle"].value], event["event"], MEANINGS[event["event"]])
            for event in self._pending()
            if event["processor_handle"].value in device_ids and event["event"] in MEANINGS
        )

    def close(self) -> None:
        """Stop listening."""
        for reader in self._readers.values():
            if reader is not None:
                # A driver that is gone has let go of it.
                with contextlib.suppress(self._smi.AmdSmiException):
                    reader.stop()

    def _pending(self) -> Iterator[dict[str, Any]]:
        # Whichever is asked, the library gives the events of all.
        reader = next((reader for reader in self._readers.values() if reader is not None), None)
        if reader is None:
            return
        with contextlib.suppress(AbsentError, DeviceLostError, VendorUnavailableError):
            # Where there are none, that is an error; where a GPU or the driver is gone, its readings tell.
            yield from self._driver.ask(reader.read, 0, AT_ONCE_MAX)
