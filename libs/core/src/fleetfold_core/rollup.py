"""Roll-ups: what a device read within a span of time, as counts, means and bounds."""

import math
from array import array
from collections.abc import Sequence

import msgspec

from fleetfold_contracts.samples import Sample

READINGS = (
    "memory_used_bytes",
    "compute_utilization_percent",
    "power_watts",
    "temperature_celsius",
    "clock_rate_mhz",
    "memory_clock_mhz",
    "pcie_rx_mbps",
    "pcie_tx_mbps",
)
"""The readings that have a history. What is stored names them by their place here: new ones come at the end."""

_EMPTY_CELLS = array("d", (0.0, *(0.0, math.inf, 0.0, -math.inf) * len(READINGS)))
_CELLS_A_READING = 4

Reading = tuple[int, float, float, float]
"""How often it was read, the least, the sum and the greatest."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, list[Reading | None]])


def values_of(sample: Sample) -> tuple[float | None, ...]:
    """A sample's readings, in the order of `READINGS`."""
    return (
        sample.memory_used_bytes,
        sample.compute_utilization_percent,
        sample.power_watts,
        sample.temperature_celsius,
        sample.clock_rate_mhz,
        sample.memory_clock_mhz,
        sample.pcie_rx_mbps,
        sample.pcie_tx_mbps,
    )


class Rollup:
    """Samples, rolled up. Two roll-ups together are the roll-up of all their samples.

    One array of numbers, because a service holds one for each device: the count of samples, and then for each reading
    how often it was read, its least, its sum and its greatest value.
    """

    __slots__ = ("cells",)

    def __init__(self) -> None:
        self.cells = _EMPTY_CELLS[:]

    @property
    def sample_count(self) -> int:
        """How many samples are in it."""
        return int(self.cells[0])

    def add(self, values: Sequence[float | None]) -> None:
        """Add a sample: the values of `READINGS`, in their order."""
        cells = self.cells
        cells[0] += 1
        cell = 1
        for value in values:
            if value is not None:
                cells[cell] += 1
                if value < cells[cell + 1]:
                    cells[cell + 1] = value
                cells[cell + 2] += value
                if value > cells[cell + 3]:
                    cells[cell + 3] = value
            cell += _CELLS_A_READING

    def merge(self, other: "Rollup") -> None:
        """Add all samples of another."""
        mine, its = self.cells, other.cells
        mine[0] += its[0]
        for cell in range(1, len(mine), _CELLS_A_READING):
            mine[cell] += its[cell]
            mine[cell + 1] = min(mine[cell + 1], its[cell + 1])
            mine[cell + 2] += its[cell + 2]
            mine[cell + 3] = max(mine[cell + 3], its[cell + 3])

    def reading(self, place: int) -> Reading | None:
        """The reading at a place of `READINGS`; `None` if it was never there."""
        count, low, total, high = self.cells[1 + place * _CELLS_A_READING :][:_CELLS_A_READING]
        return (int(count), low, total, high) if count else None

    def encode(self) -> bytes:
        """It as MessagePack. What was never read takes a byte."""
        return _encoder.encode((self.sample_count, [self.reading(place) for place in range(len(READINGS))]))

    @staticmethod
    def decode(payload: bytes) -> "Rollup":
        """What `encode` gave, maybe of an older version that knew fewer readings."""
        rollup = Rollup()
        sample_count, readings = _decoder.decode(payload)
        rollup.cells[0] = sample_count
        for place, reading in enumerate(readings[: len(READINGS)]):
            if reading is not None:
                first = 1 + place * _CELLS_A_READING
                rollup.cells[first : first + _CELLS_A_READING] = array("d", reading)
        return rollup
