"""Facts that wait for the log: in order, bounded, and none lost that matters."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_telemetry_agent.lane import Lane, Waiting, kind_of
from tests.support.examples import a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE = "n1"
NODES = st.just(NODE)
DEVICES = st.sampled_from([f"gpu-{number}" for number in range(4)])

FACTS = st.one_of(
    st.builds(evt.DeviceRegistered, node_id=NODES, capabilities=DEVICES.map(a_device)),
    st.builds(evt.DeviceLost, node_id=NODES, device_id=DEVICES, reason=st.text()),
    st.builds(evt.DeviceRecovered, node_id=NODES, device_id=DEVICES),
    st.builds(evt.DeviceFaulted, node_id=NODES, device_id=DEVICES, code=st.text()),
    st.builds(evt.LinksObserved, node_id=NODES),
)
KINDS = 4 * 3 + 1
"""Of four devices: what they are, whether they are there, their faults. And the links."""


def waiting(event: evt.Event, number: int) -> Waiting:
    return Waiting(subject="s", message_id=str(number), payload=b"", kind=kind_of(event))


def sent(events: Sequence[evt.Event], limit: int) -> list[evt.Event]:
    """What reaches the log when nothing is sent before all have been put."""
    lane = Lane(limit)
    for number, event in enumerate(events):
        lane.put(waiting(event, number))
        assert len(lane) <= max(limit, 2 * KINDS)
    taken: list[evt.Event] = []
    while lane:
        taken.append(events[int(lane.first.message_id)])
        lane.gone(lane.first)
    return taken


def folded(events: Sequence[evt.Event]) -> State:
    """The state of the node after it has joined with its devices and these facts."""
    state = State()
    known = [evt.DeviceRegistered(node_id=NODE, capabilities=a_device(f"gpu-{number}")) for number in range(4)]
    for sequence, event in enumerate([evt.NodeJoined(node=a_node(NODE)), *known, *events], start=1):
        fold(state, event, At(sequence=sequence, time=NOW))
    state.position = 0  # where in the log it was told is another matter
    state.room_positions.clear()
    return state


@given(st.lists(FACTS, max_size=200), st.integers(1, 50))
def test_what_is_sent_tells_how_things_stand_however_many_waited(events: list[evt.Event], limit: int) -> None:
    assert folded(sent(events, limit)) == folded(events)


@given(st.lists(FACTS, max_size=50))
def test_up_to_the_limit_every_fact_is_sent_in_order(events: list[evt.Event]) -> None:
    assert sent(events, limit=50) == events


def test_a_flapping_device_takes_no_more_room_than_one_that_is_lost() -> None:
    lost = evt.DeviceLost(node_id=NODE, device_id="gpu-0")
    recovered = evt.DeviceRecovered(node_id=NODE, device_id="gpu-0")
    assert sent([lost, recovered] * 500 + [lost], limit=10)[-1:] == [lost]
    assert len(sent([lost, recovered] * 500, limit=10)) <= 10


def test_a_fact_under_way_that_a_newer_one_stands_for_takes_nothing_away() -> None:
    lane = Lane(1)
    lane.put(first := waiting(evt.DeviceLost(node_id=NODE, device_id="gpu-0"), 0))
    lane.put(waiting(evt.DeviceRecovered(node_id=NODE, device_id="gpu-0"), 1))
    lane.gone(first)
    assert lane.first.message_id == "1"
