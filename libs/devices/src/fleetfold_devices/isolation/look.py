"""A look at a source: all that is asked of it at a time, and what it tells."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from fleetfold_contracts.inventory import Link
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices.port import DeviceSource, Fault, Inventory


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to look at beside the readings."""

    health: bool = False
    topology: bool = False
    """Look for devices and links anew. A source that was just opened has none before."""


class Look(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="look"):
    """What was seen. What was not asked for is None, or empty."""

    samples: tuple[Sample, ...] = ()
    inventory: Inventory | None = None
    links: tuple[Link, ...] | None = None
    health: tuple[DeviceHealth, ...] = ()
    faults: tuple[Fault, ...] = ()


def look(source: DeviceSource, question: Question, now: Callable[[], datetime]) -> Look:
    """Ask a source. May block, as all of its calls. What is read is stamped with the time of its reading.

    Raises:
        VendorUnavailableError: the driver went away. Close the source and open another.
    """
    inventory = source.discover() if question.topology else None
    return Look(
        inventory=inventory,
        links=source.links() if question.topology else None,
        samples=source.sample(now()),
        health=source.health(now()) if question.health else (),
        faults=source.faults(),
    )
