"""The strategy `fragmentation`: a job goes where it takes least of what the usual jobs could still use."""

from typing import NamedTuple

import numpy as np

from fleetfold_core._solve.fleet.columns import Columns, Flags, Integers
from fleetfold_core._solve.fleet.fillings import Fillings
from fleetfold_core._solve.fleet.lens import Lens
from fleetfold_core._solve.fleet.mix import Classes, Mix, Numbers
from fleetfold_core.jobs import Job
from fleetfold_core.state import Arrivals

CPU_PRICES = np.array([0.0, 0.35, 0.9, 1.75])
"""Of a CPU, in shares of what it would cost if the fleet's CPUs paid for all its GPUs."""

# Where two places are worth nearly the same: the node with less left, and the device that is filled up more exactly.
LEFT_GPU_COSTS = 0.00875
LEFT_CPU_COSTS = 0.00875 / 7
"""A CPU counts by its price, as do the prices above."""
LEFT_ON_DEVICE_COSTS = 0.01

SEATINGS_KEPT = 300


class Need(NamedTuple):
    """What a job asks of devices."""

    gpu_count: int
    gpu_milli: int
    gpu_bytes: int


class Seating:
    """For one need: where on each node it would sit best, and what the node would be worth then."""

    def __init__(self, nodes: int, prices: int, gpu_count: int) -> None:
        """Nothing is known yet of any node."""
        self.fits: Flags = np.zeros(nodes, np.bool_)
        self.places: Integers = np.zeros((nodes, gpu_count), np.int64)
        self.worth_after: Numbers = np.zeros((prices, nodes))
        self.known_until = -1
        """Nodes that changed later must be looked at again."""


class Worth:
    """What each node is worth, kept up to date: only what changed is valued again.

    The worth of a node is what its free shares could be filled with by the jobs that are counted on, with CPU at a
    price; of several prices that one holds at which it is worth least: with CPU to spare it costs nothing, and where
    it is short the lean jobs are all that can be hoped for.
    """

    def __init__(self, columns: Columns, arrivals: Arrivals | None) -> None:
        """Value a pool by what arrived there so far."""
        self._columns = columns
        self._classes = Classes(columns)
        rows = zip(columns.nodes, columns.devices, strict=True)
        cpu_milli = sum(node.node.cpu_milli for node, devices in rows if devices)
        unit = self._classes.gpu_milli.sum() / max(cpu_milli, 1)
        self._cpu_prices = CPU_PRICES * unit
        self._left_cpu_costs = LEFT_CPU_COSTS * unit
        self._no_places = np.zeros((len(columns.nodes), 0), np.int64)
        self._arrivals_mix: object = None
        self._learned: object = None
        self._seatings: dict[tuple[Need, bytes], Seating] = {}
        nodes = len(columns.nodes)
        self._worth = np.zeros((len(CPU_PRICES), nodes))
        self._filled = np.zeros((len(CPU_PRICES), *columns.share.shape))
        """What the free share of each device can be filled to."""
        self._bias = np.zeros(nodes)
        """What a node is worth as it is, and the cost of what is left on it: taken off the worth that is left."""
        self._changes = 0
        self._changed_at = np.zeros(nodes, np.int64)
        self._learn(arrivals)

    def follow(self, arrivals: Arrivals | None) -> None:
        """Learn from what arrived, if its mix is another than it was."""
        if arrivals is not None and arrivals.mix is not self._arrivals_mix:
            self._learn(arrivals)

    def changed(self, nodes: Integers) -> None:
        """Value nodes again whose columns were read anew."""
        columns = self._columns
        filled = self._fillings.of(nodes, columns.room(nodes))
        self._filled[:, nodes] = filled
        worth = filled.sum(2) + self._cpu_prices[:, None] * np.maximum(columns.cpu_milli[nodes], 0)
        self._worth[:, nodes] = worth
        left = LEFT_GPU_COSTS * columns.free_milli[nodes] + self._left_cpu_costs * columns.cpu_milli[nodes]
        self._bias[nodes] = -worth.min(0) - left
        self._changes += 1
        self._changed_at[nodes] = self._changes

    def rank(self, job: Job, lens: Lens) -> tuple[Numbers, Flags | None, Integers]:
        """How good each node is for a job, where it fits by devices, and where there it would sit."""
        if not job.gpu_count:
            after = self._worth - (self._cpu_prices * job.cpu_milli)[:, None]
            return after.min(0) + self._bias, None, self._no_places
        seating = self._seating(Need(job.gpu_count, job.gpu_milli, job.gpu_bytes), lens)
        after = seating.worth_after - (self._cpu_prices * job.cpu_milli)[:, None]
        gain = after.min(0) + self._bias
        if self._any_price:
            gain -= self._price_of_node * job.all_gpus_milli
        return gain, seating.fits, seating.places

    def _learn(self, arrivals: Arrivals | None) -> None:
        self._arrivals_mix = arrivals.mix if arrivals is not None else ()
        mix = Mix(self._classes, arrivals)
        self._price_of_node: Numbers = mix.prices[self._classes.of_node]
        self._any_price = bool(mix.prices.any())
        learned = mix.items, mix.common.tobytes()
        if learned == self._learned:
            return
        self._learned = learned
        self._fillings = Fillings(self._classes, mix, self._cpu_prices)
        self._seatings.clear()
        self.changed(np.arange(len(self._columns.nodes)))

    def _seating(self, need: Need, lens: Lens) -> Seating:
        key = need, lens.key if lens.devices is not None else b""
        seating = self._seatings.get(key)
        if seating is None:
            if len(self._seatings) >= SEATINGS_KEPT:
                self._seatings.clear()
            seating = self._seatings[key] = Seating(len(self._columns.nodes), len(CPU_PRICES), need.gpu_count)
        stale = np.flatnonzero(self._changed_at > seating.known_until)
        if len(stale):
            self._seat(seating, need, lens, stale)
            seating.known_until = self._changes
        return seating

    def _seat(self, seating: Seating, need: Need, lens: Lens, nodes: Integers) -> None:
        """Find the best places of a need on some nodes."""
        fits = self._fits(need, lens, nodes)
        columns = self._columns
        left = columns.room(nodes, need.gpu_milli, need.gpu_bytes)
        lost = self._filled.take(nodes, axis=1) - self._fillings.of(nodes, left)
        worth = self._worth.take(nodes, axis=1)
        after = (worth[:, :, None] - lost).min(0) - LEFT_ON_DEVICE_COSTS * left
        after[~fits] = -np.inf
        rows = np.arange(len(nodes))
        if need.gpu_count == 1:
            places = after.argmax(1)
            seating.fits[nodes] = fits[rows, places]
            seating.places[nodes, 0] = places
            seating.worth_after[:, nodes] = worth - lost[:, rows, places]
        else:
            places = (-after).argsort(1, kind="stable")[:, : need.gpu_count]
            seating.fits[nodes] = fits.sum(1) >= need.gpu_count
            seating.places[nodes, : places.shape[1]] = places
            seating.worth_after[:, nodes] = worth - lost[:, rows[:, None], places].sum(2)

    def _fits(self, need: Need, lens: Lens, nodes: Integers) -> Flags:
        fits = self._columns.share[nodes] >= need.gpu_milli
        if need.gpu_bytes:
            fits &= self._columns.free_bytes[nodes] >= need.gpu_bytes
        if lens.devices is not None:
            fits &= lens.devices[nodes]
        return fits
