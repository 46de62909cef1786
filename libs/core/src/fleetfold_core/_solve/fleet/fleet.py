"""A pool as a solver of jobs keeps it beside the state: columns, and what was worked out of them."""

from typing import NamedTuple

import numpy as np

from fleetfold_contracts.ids import DEFAULT_POOL, DeviceId, NodeId, PoolId
from fleetfold_contracts.placing import PlacementStrategy
from fleetfold_contracts.workloads import Constraints
from fleetfold_core._solve.fleet.columns import Columns, Flags, Integers
from fleetfold_core._solve.fleet.fullness import Fullness
from fleetfold_core._solve.fleet.lens import Lens, Lenses
from fleetfold_core._solve.fleet.mix import Numbers
from fleetfold_core._solve.fleet.worth import Worth
from fleetfold_core.jobs import Job
from fleetfold_core.state import DeviceState, NodeState, State
from fleetfold_core.touched import Touched


class Place(NamedTuple):
    """Where a job goes: a node, and as many of its devices as it asks for."""

    node: NodeState
    devices: tuple[DeviceState, ...]


class Fleet:
    """The columns of one pool of one state.

    It is no part of the state: built anew from it, it gives the same answers. Whoever keeps one tells it what each
    record touched (`fleetfold_core.touched`); what it holds is read anew when it is next asked.
    """

    def __init__(self, state: State, pool: PoolId = DEFAULT_POOL) -> None:
        """Read a pool as it is now. `state` is kept, and must be the one that records are folded into."""
        self._state = state
        self._pool: PoolId = pool
        self._nodes_touched: set[NodeId] = set()
        self._devices_touched: set[DeviceId] = set()
        self._build()

    def follow(self, touched: Touched) -> None:
        """A record changes this of the state: before or after it is folded, but before the next question."""
        self._nodes_touched.update(touched.nodes)
        self._devices_touched.update(touched.devices)

    def place(self, job: Job, constraints: Constraints, strategy: PlacementStrategy) -> Place | None:
        """The best place for a job by a strategy; of equals the node with the least id. `None`: it fits nowhere."""
        self._catch_up()
        lens = self._lenses.of(constraints)
        gain, devices_fit, places = self._rank(job, lens, strategy)
        fits = self._nodes_fit(job, lens)
        if devices_fit is not None:
            fits &= devices_fit
        best = int(np.where(fits, gain, -np.inf).argmax()) if len(fits) else -1
        if best < 0 or not fits[best]:
            return None
        devices = self._columns.devices[best]
        own: list[int] = places[best].tolist()
        return Place(self._columns.nodes[best], tuple(devices[place] for place in sorted(own)))

    def _rank(self, job: Job, lens: Lens, strategy: PlacementStrategy) -> tuple[Numbers, Flags | None, Integers]:
        if strategy is PlacementStrategy.FRAGMENTATION:
            return self._up_to_date_worth().rank(job, lens)
        return Fullness(self._columns, emptiest_first=strategy is PlacementStrategy.SPREAD).rank(job, lens)

    def _up_to_date_worth(self) -> Worth:
        arrivals = self._state.arrivals.get(self._pool)
        if self._worth is None:
            self._worth = Worth(self._columns, arrivals)
        self._worth.follow(arrivals)
        return self._worth

    def _nodes_fit(self, job: Job, lens: Lens) -> Flags:
        columns = self._columns
        fits = (columns.cpu_milli >= job.cpu_milli) & (columns.memory_bytes >= job.memory_bytes)
        left = lens.nodes_with_devices if job.gpu_count else lens.nodes
        if left is not None:
            fits &= left
        return fits

    def _build(self) -> None:
        self._columns = Columns(self._state, self._pool)
        self._lenses = Lenses(self._columns)
        self._worth: Worth | None = None

    def _catch_up(self) -> None:
        if self._nodes_touched or self._devices_touched:
            self._read_again()
            self._nodes_touched.clear()
            self._devices_touched.clear()

    def _read_again(self) -> None:
        touched = Touched(nodes=self._nodes_touched, devices=self._devices_touched)
        rows = self._columns.rows_of(self._state, touched)
        if rows is None:
            self._build()
        elif rows:
            for row in rows:
                self._columns.read(row)
            if self._worth is not None:
                self._worth.changed(np.array(rows))
