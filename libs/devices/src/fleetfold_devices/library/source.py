"""What is alike for every vendor whose GPUs are read through a library with a state of its own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices.meter import Finds, Meter
from fleetfold_devices.port import Fault, Inventory


class Metered(Protocol):
    """A device of the last discovery."""

    @property
    def device_id(self) -> DeviceId:
        """By what it is known."""
        ...

    @property
    def meter(self) -> Meter:
        """What reads it."""
        ...


Gpu = TypeVar("Gpu", bound=Metered)
Gpu_contra = TypeVar("Gpu_contra", bound=Metered, contravariant=True)


class FaultWatch(Protocol[Gpu_contra]):
    """Listens to what the library reports."""

    def listen_to(self, gpus: Sequence[Gpu_contra]) -> None:
        """Tell of the faults of these from now on."""
        ...

    def read(self) -> tuple[Fault, ...]:
        """The faults since this was last asked. Does not wait for any."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class LibrarySource(ABC, Generic[Gpu]):
    """Most of a `DeviceSource`: devices are looked for, read, and listened to.

    A library looks for cards when it is started, and holds on to those that it found: after a loss it is started anew.
    Where nobody else uses the cards, that can let a driver forget what it counted, so it is not done without need.
    """

    def __init__(self) -> None:
        self._gpus: tuple[Gpu, ...] = ()
        self._any_lost = False
        self._watch: FaultWatch[Gpu] = self._new_watch()
        self._unread: tuple[Fault, ...] = ()

    @abstractmethod
    def _look(self) -> Finds[Gpu]: ...

    @abstractmethod
    def _reopen(self) -> None: ...

    @abstractmethod
    def _let_go(self) -> None: ...

    @abstractmethod
    def _new_watch(self) -> FaultWatch[Gpu]: ...

    def discover(self) -> Inventory:
        """See `DeviceSource`."""
        if self._any_lost or any(gpu.meter.lost for gpu in self._gpus):
            self._start_anew()
        finds = self._look()
        self._gpus, self._any_lost = finds.kept, finds.any_lost
        self._watch.listen_to(self._gpus)
        return finds.inventory

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """See `DeviceSource`."""
        return tuple(gpu.meter.sample(now) for gpu in self._gpus)

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """See `DeviceSource`. Errors of the memory are counted since the driver was loaded."""
        return tuple(gpu.meter.health(now) for gpu in self._gpus)

    def faults(self) -> tuple[Fault, ...]:
        """See `DeviceSource`."""
        found = (*self._unread, *self._watch.read())
        self._unread = ()
        return found

    def close(self) -> None:
        """See `DeviceSource`."""
        self._watch.close()
        self._let_go()

    def _start_anew(self) -> None:
        self._unread = self.faults()
        self._watch.close()
        self._reopen()
        self._watch = self._new_watch()
