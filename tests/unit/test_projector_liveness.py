"""Who fell silent, by the server's time; and that it is said once, however many say it."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.events import Liveness
from fleetfold_contracts.inventory import Node
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.run import Context, Readiness
from fleetfold_runtime.stopping import background
from fleetfold_state_projector import liveness_watch
from fleetfold_state_projector.liveness import Moment, change
from fleetfold_state_projector.liveness_watch import LivenessWatch
from fleetfold_state_projector.settings import ProjectorSettings
from tests.support.waiting import eventually

START = datetime(2026, 1, 1, tzinfo=UTC)
SUBJECTS = Subjects("fleet")
UNREADABLE = b"no event"
NODE = Node(node_id="n1", boot_id="b1", hostname="n1", cpu_milli=1, memory_bytes=1)


def joined() -> State:
    state = State()
    fold(state, evt.NodeJoined(node=NODE), At(sequence=1, time=START))
    return state


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def said(state: State, after_s: float, *, listening_since_s: float = 0) -> Liveness | None:
    found = change(state.nodes["n1"], Moment(after(after_s), after(listening_since_s)), offline_after_s=30)
    if found is None:
        return None
    fold(state, found, At(sequence=state.position + 1, time=after(after_s)))
    return found.liveness


def beat(state: State, after_s: float) -> None:
    sequence = state.samples_position + 1
    fold_samples(state, NodeSample(node_id="n1", boot_id="b1", tick=sequence), sequence, after(after_s))


def test_a_silent_node_is_stale_and_then_offline_and_each_is_said_once() -> None:
    state = joined()
    assert [said(state, second) for second in (5.9, 6, 7, 29, 30, 500)] == [
        None,
        Liveness.STALE,
        None,
        None,
        Liveness.OFFLINE,
        None,
    ]


def test_two_beats_in_a_row_bring_a_node_back() -> None:
    state = joined()
    assert said(state, 100) is Liveness.OFFLINE
    beat(state, 101)
    assert said(state, 102) is None
    beat(state, 103)
    assert said(state, 103.1) is Liveness.LIVE


def test_a_node_at_the_edge_does_not_flap() -> None:
    """A beat each six seconds, which is three beats late each time: silent, and never back."""
    state = joined()
    assert said(state, 6) is Liveness.STALE
    for second in range(7, 100, 6):
        beat(state, second)
        assert [said(state, second + late_s) for late_s in (0.1, 3, 5.9)] == [None] * 3


def test_a_node_that_was_offline_is_not_stale_after_a_single_beat() -> None:
    state = joined()
    assert said(state, 100) is Liveness.OFFLINE
    beat(state, 101)
    assert said(state, 110) is None


def test_a_node_that_left_in_good_order_is_not_missed() -> None:
    state = joined()
    fold(state, evt.NodeLeft(node_id="n1", boot_id="b1"), At(sequence=2, time=START))
    assert said(state, 100) is None


def test_nobody_is_missed_while_the_server_was_away() -> None:
    state = joined()
    assert said(state, 105, listening_since_s=100) is None
    assert said(state, 106, listening_since_s=100) is Liveness.STALE
    # The server goes away once more: that is no sign of life.
    assert said(state, 201, listening_since_s=200) is None


async def test_however_many_watch_each_change_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four watch a node that falls silent and comes back, twice; something unreadable lies in their way."""
    monkeypatch.setattr(liveness_watch, "LOOK_EVERY_S", 0.02)
    broker = MemoryBroker()
    bus = MemoryBus(broker, SUBJECTS)
    await bus.ensure_streams()
    stop = asyncio.Event()
    await append(bus, evt.NodeJoined(node=replace(NODE, beat_interval_s=0.15)))
    await bus.append(SUBJECTS.liveness("n1"), UNREADABLE, message_id="poison")

    async with background(*(watched(broker, stop) for _ in range(4))):
        for times in (1, 2):
            await eventually(lambda times=times: heard(bus, Liveness.OFFLINE, times), what="the silence being noticed")
            for tick in (2 * times, 2 * times + 1):
                await bus.publish(
                    SUBJECTS.samples("n1"), codec.encode(NodeSample(node_id="n1", boot_id="b1", tick=tick))
                )
            await eventually(lambda times=times: heard(bus, Liveness.LIVE, times), what="the node being heard again")
        stop.set()


async def append(bus: MemoryBus, event: evt.Event) -> None:
    payload = codec.encode_event(event, id="fact", source="test", time=START)
    await bus.append(SUBJECTS.event(event), payload, message_id="fact")


async def watched(broker: MemoryBroker, stop: asyncio.Event) -> None:
    bus = MemoryBus(broker, SUBJECTS)
    live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=True)
    context = Context(ProjectorSettings(offline_after_s=0.5), bus, SystemClock(), stop, Readiness())
    async with live.following(stop):
        await LivenessWatch(context, live).run()


async def heard(bus: MemoryBus, liveness: Liveness, times: int) -> bool:
    """Whether it was said so often; never more often."""
    async with aclosing(bus.read(SUBJECTS.stream(EVENTS), filter=SUBJECTS.liveness("n1"))) as lists:
        records = await anext(lists)
    said = [codec.decode_event(codec.decode_envelope(one.payload)) for one in records if one.payload != UNREADABLE]
    count = sum(isinstance(one, evt.LivenessChanged) and one.liveness is liveness for one in said)
    assert count <= times
    return count == times
