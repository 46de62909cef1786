"""Giving back and reserving in one step: for what moves, and for whom others make room."""

from collections.abc import Sequence

from fleetfold_core._fold.ledger import Reservation, reserve
from fleetfold_core.state import Placement, State
from fleetfold_core.whatif import holding, without


def exchange(state: State, freed: Sequence[Placement], wanted: Reservation) -> str | None:
    """Give back what some placements hold and reserve what is wanted, whole; else nothing is changed."""
    trial = without(state, freed)
    trouble = reserve(trial, wanted)
    if trouble is None:
        touched = holding(freed)
        state.devices.update({id_: trial.devices[id_] for id_ in touched.devices})
        state.nodes.update({id_: trial.nodes[id_] for id_ in touched.nodes})
        state.held = trial.held
    return trouble
