"""The same history gives the same bytes, on every Python that Fleetfold runs on."""

import hashlib
from datetime import timedelta

from fleetfold_contracts.samples import Absence, NodeSample, Sample
from fleetfold_core.fold import fold, fold_samples, park
from fleetfold_core.state import At, State
from tests.bench import history
from tests.support.examples import GIB
from tests.support.story import START

EVENTS = 1500
DIGEST = "7d9bd2e36184db293ab8c1dfd81732ef"
"""Of this version's fold: it changes with the fold and with what a state holds, never with the Python."""


def folded() -> State:
    """A fleet that is sampled while workloads come and go, with some of everything that a log may hold."""
    state = State()
    for index in range(EVENTS):
        at = At(sequence=index + 1, time=START + timedelta(milliseconds=137 * index), cause=f"command-{index}")
        fold(state, history.event(index), at)
        if index >= history.JOINING and index % 3 == 0:
            number = index // 3
            fold_samples(state, samples(number), number, at.time)
    park(state, At(sequence=EVENTS + 1, time=START), "unreadable")
    return state


def samples(number: int) -> NodeSample:
    """Floats that have no short binary form, readings that are absent, ticks that come twice."""
    tick, node = divmod(number, history.NODES)
    first = node * history.DEVICES_A_NODE
    told = tuple(
        Sample(
            device_id=history.device_id(device),
            timestamp=START + timedelta(seconds=tick, microseconds=device),
            memory_used_bytes=None if device % 5 == 0 else GIB + number,
            compute_utilization_percent=(number * 0.1 + device / 3) % 100,
            power_watts=100 / (1 + device),
            temperature_celsius=30.1 + tick / 7,
            absent={"memory_used_bytes": Absence.ASLEEP} if device % 5 == 0 else {},
        )
        for device in range(first, first + history.DEVICES_A_NODE)
    )
    return NodeSample(node_id=history.node_id(node), boot_id="boot", tick=tick - tick % 5 // 4, samples=told)


def test_a_history_with_samples_gives_the_bytes_that_it_always_gave() -> None:
    state = folded()
    assert sum(device.sample is not None for device in state.devices.values()) == history.DEVICES
    assert state.ignored_sample_count > 0, "some ticks came twice"
    assert digest(state) == DIGEST
    assert digest(State.decode(state.encode())) == DIGEST


def digest(state: State) -> str:
    return hashlib.blake2b(state.encode(), digest_size=16).hexdigest()
