"""Outcomes: which event came of which command, so that a command is done once."""

from itertools import takewhile

from fleetfold_contracts import events as evt
from fleetfold_core.state import At, State

OUTCOMES_KEPT_DAYS = 8
"""Longer than a command lives in its stream: while it can come again, its outcome is known."""

OUTCOMES: frozenset[type[evt.Event]] = frozenset(
    {
        evt.PlacementDecided,
        evt.PlacementRefused,
        evt.PlacementQueued,
        evt.PlacementMoved,
        evt.PlacementReleased,
        evt.PlacementPreviewed,
        evt.DeviceCordoned,
        evt.DeviceUncordoned,
        evt.NodeCordoned,
        evt.NodeUncordoned,
        evt.NodeTransferred,
        evt.DeviceDrainStarted,
        evt.QuotaSet,
        evt.RebalanceProposed,
        evt.WorkDistributed,
        evt.WorkCancelled,
        evt.WorkRetried,
        evt.CommandRejected,
    }
)
"""The events of which each command brings about one."""


def record_outcome(state: State, at: At) -> None:
    """Remember that a command had its outcome here."""
    if at.cause is None:
        return
    state.outcomes.setdefault(at.cause, at.sequence)
    day = at.time.toordinal()
    if not state.outcome_days or day > state.outcome_days[-1][0]:
        state.outcome_days.append((day, at.sequence))
        _forget_old_outcomes(state, day)


def _forget_old_outcomes(state: State, today: int) -> None:
    # Outcomes lie in the order of their sequences, so the old ones are those before the first of the oldest day kept.
    state.outcome_days = [entry for entry in state.outcome_days if entry[0] >= today - OUTCOMES_KEPT_DAYS]
    first_kept = state.outcome_days[0][1]
    for command_id in list(takewhile(lambda id_: state.outcomes[id_] < first_kept, state.outcomes)):
        del state.outcomes[command_id]
