"""What whoever solves again and again keeps beside the state."""

from fleetfold_contracts.ids import PoolId
from fleetfold_core._solve.fleet.fleet import Fleet
from fleetfold_core.state import State
from fleetfold_core.touched import Touched


class Fleets:
    """The pools of one state as a solver of jobs reads them, each from when it is first asked for."""

    def __init__(self, state: State) -> None:
        """`state` must be the one that records are folded into."""
        self._state = state
        self._fleets: dict[PoolId, Fleet] = {}

    def of(self, pool: PoolId) -> Fleet:
        """A pool's."""
        if pool not in self._fleets:
            self._fleets[pool] = Fleet(self._state, pool)
        return self._fleets[pool]

    def follow(self, touched: Touched) -> None:
        """A record changes this of the state: told before or after it is folded, but before the next question."""
        for fleet in self._fleets.values():
            fleet.follow(touched)
