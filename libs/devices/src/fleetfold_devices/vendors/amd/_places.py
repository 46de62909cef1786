"""Where work can run: the cards, and in place of a card that is split its partitions."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fleetfold_contracts.ids import DeviceId, NodeId, token
from fleetfold_devices.meter import Meter

NO_SERIAL = frozenset({0, 2**64 - 1})


@dataclass(frozen=True, slots=True)
class Place:
    """A card, or one of its partitions."""

    handle: Any
    index: int
    """Its place among all that the library tells."""
    pci_address: str
    partition: int | None = None
    """The number of the partition, where it is told. A whole card has 0."""
    partitions: int = 1
    """How many its card has."""
    speaks_for_card: bool = True
    """Whether it tells what is counted for the whole card."""

    @property
    def is_partition(self) -> bool:
        """Whether it is a part of a card."""
        return self.partitions > 1


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device of the last discovery."""

    device_id: DeviceId
    place: Place
    meter: Meter


def card_id(node_id: NodeId, serial: int | None, pci_address: str, model: int | None) -> DeviceId:
    """A card's id: by its serial number, which stays with it; without one by its slot in the node and its PCI model."""
    if serial is None or serial in NO_SERIAL:
        return token(f"{node_id}-{pci_address}-{'' if model is None else f'{model:04x}'}")
    return f"AMD-{serial:016x}"


def hexadecimal(text: str) -> int | None:
    """A number that is written in hexadecimal digits; None for what is none."""
    try:
        return int(text, 16)
    except ValueError:
        return None


def cards(places: Iterable[Place]) -> list[list[Place]]:
    """The places by the cards that they are on.

    The library tells each partition as a GPU. Their PCI addresses differ in the function at most.
    """
    slots: defaultdict[str, list[Place]] = defaultdict(list)
    for place in places:
        slots[place.pci_address.rpartition(".")[0]].append(place)
    return [list(_numbered(of_card)) for of_card in slots.values()]


def _numbered(of_card: list[Place]) -> Iterator[Place]:
    numbers = [place.partition for place in of_card]
    # Some versions do not know the numbers, or tell the same one for all.
    if None in numbers or len(set(numbers)) < len(numbers):
        numbers = list(range(len(of_card)))
    for place, number in zip(of_card, numbers, strict=True):
        yield replace(place, partition=number, partitions=len(of_card), speaks_for_card=place is of_card[0])
