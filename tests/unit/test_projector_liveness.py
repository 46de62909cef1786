"""Who fell silent, by the server's time."""

from datetime import UTC, datetime, timedelta

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Node
from fleetfold_contracts.samples import NodeSample
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from fleetfold_state_projector.liveness import change_id, changes

START = datetime(2026, 1, 1, tzinfo=UTC)


def joined() -> State:
    state = State()
    node = Node(node_id="n1", boot_id="b1", hostname="n1", cpu_milli=1, memory_bytes=1)
    fold(state, evt.NodeJoined(node=node), At(sequence=1, time=START))
    return state


def said(state: State, after_s: float, *, listening_since_s: float = 0) -> list[evt.Liveness]:
    now = START + timedelta(seconds=after_s)
    listening_since = START + timedelta(seconds=listening_since_s)
    found = list(changes(state, now, listening_since=listening_since, offline_after_s=30))
    for change in found:
        fold(state, change, At(sequence=state.position + 1, time=now))
    return [change.liveness for change in found]


def test_a_silent_node_is_stale_and_then_offline_and_each_is_said_once() -> None:
    state = joined()
    assert [said(state, second) for second in (5.9, 6, 7, 29, 30, 500)] == [
        [],
        [evt.Liveness.STALE],
        [],
        [],
        [evt.Liveness.OFFLINE],
        [],
    ]


def test_a_beat_brings_a_node_back() -> None:
    state = joined()
    assert said(state, 100) == [evt.Liveness.OFFLINE]
    fold_samples(state, NodeSample(node_id="n1", boot_id="b1", tick=9), 1, START + timedelta(seconds=101))
    assert said(state, 102) == [evt.Liveness.LIVE]


def test_a_node_that_left_in_good_order_is_not_missed() -> None:
    state = joined()
    fold(state, evt.NodeLeft(node_id="n1", boot_id="b1"), At(sequence=2, time=START))
    assert said(state, 100) == []


def test_two_projectors_give_a_change_the_same_id() -> None:
    now = START + timedelta(seconds=7)
    late = now + timedelta(seconds=1)
    first, second = (list(changes(joined(), time, listening_since=START, offline_after_s=30)) for time in (now, late))
    assert [change_id(change) for change in first] == [change_id(change) for change in second]


def test_nobody_is_missed_while_the_server_was_away() -> None:
    state = joined()
    assert said(state, 105, listening_since_s=100) == []
    assert said(state, 106, listening_since_s=100) == [evt.Liveness.STALE]
    # The server goes away once more: that is no sign of life.
    assert said(state, 201, listening_since_s=200) == []
