"""A very large fleet: its samples folded by one projector and by one of four, and answers merged of four."""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.port import Service
from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.answers import DeviceOrder, DevicesQuery
from fleetfold_contracts.figures import AggregateQuery
from fleetfold_contracts.samples import NodeSample
from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.facts import forget_samples
from fleetfold_core.state import State
from fleetfold_runtime.clock import SystemClock
from fleetfold_runtime.live_state import LiveState
from fleetfold_state_projector.history.history import History
from fleetfold_state_projector.questions import Questions
from fleetfold_state_projector.settings import ProjectorSettings
from tests.bench import asking
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns

SUBJECTS = Subjects()
STREAM = SUBJECTS.stream(SAMPLES)
SHARES = 4
ASKED_TIMES = 3

QUESTIONS: dict[str, tuple[str, msgspec.Struct]] = {
    "page by id": ("devices", DevicesQuery(limit=100)),
    "page by score": ("devices", DevicesQuery(limit=100, sort=DeviceOrder.SCORE)),
    "aggregate": ("aggregate", AggregateQuery()),
}


async def folded(_: Path, effort: Effort) -> Report:
    """All samples of one tick of the fleet, in memory already: the rate at which a projector gets through them."""
    state = asking.fleet(effort.device_counts[-1])
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    for samples in _told_by(state):
        await bus.publish(SUBJECTS.samples(samples.node_id), codec.encode(samples))
    count = len(state.devices)
    names = {"read alone": None, "all folded": WHOLE, f"one of {SHARES} shares folded": Share(1, SHARES)}
    contenders = {
        name: lambda share=share: rate_per_s(count, _read(bus) if share is None else _fold(bus, state, share))
        for name, share in names.items()
    }
    rates = await take_turns(contenders, effort.rounds)
    whole = "all folded"
    series = [
        Series(name=name, values=tuple(values), against=None if name == whole else whole)
        for name, values in sorted(rates.items())
    ]
    return Report(title=f"A fleet of {count:,} in shares: samples", unit="device samples/s", series=tuple(series))


async def answered(_: Path, effort: Effort) -> Report:
    """The same questions to one projector and to four, which all run in this process and so take turns."""
    state = asking.fleet(effort.device_counts[-1])
    async with (
        _projectors(state, [WHOLE]) as one,
        _projectors(state, [Share(number, SHARES) for number in range(1, SHARES + 1)]) as four,
    ):
        series = [series for name in QUESTIONS for series in await _of_a_question(name, one, four, effort.rounds)]
    return Report(title=f"A fleet of {len(state.devices):,} in shares: answers", unit="ms", series=tuple(series))


def _told_by(state: State) -> list[NodeSample]:
    by_node: dict[str, NodeSample] = {}
    for device in state.devices.values():
        node = state.nodes[device.node_id].node
        told = by_node.setdefault(node.node_id, NodeSample(node_id=node.node_id, boot_id=node.boot_id, tick=0))
        assert device.sample is not None
        by_node[node.node_id] = replace(told, samples=(*told.samples, device.sample))
    return list(by_node.values())


async def _read(bus: MemoryBus) -> None:
    async with aclosing(bus.read(STREAM)) as pages:
        async for records in pages:
            if not records:
                return


async def _fold(bus: MemoryBus, state: State, share: Share) -> None:
    forget_samples(state)
    live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=True, state=state, share=share)
    async with live.following(asyncio.Event()):
        assert state.ignored_sample_count == 0, "every sample is of a device that is known"


@asynccontextmanager
async def _projectors(state: State, shares: Sequence[Share]) -> AsyncGenerator[MemoryBus]:
    """The questions of projectors that have read all that they are to read: they share a state, and not their parts."""
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    async with AsyncExitStack() as stack:
        history = await stack.enter_async_context(History.open(bus, State(), ProjectorSettings()))
        for share in shares:
            live = LiveState(bus, SUBJECTS, SystemClock(), with_samples=True, state=state, share=share)
            questions = Questions(bus, SUBJECTS, live, history, SystemClock(), share)
            await stack.enter_async_context(bus.serve(Service("bench", "1.0.0", "answers", questions.endpoints())))
        yield bus


async def _of_a_question(name: str, one: MemoryBus, four: MemoryBus, rounds: int) -> list[Series]:
    whole, merged = f"{name}, of one", f"{name}, merged of {SHARES}"
    took = await take_turns({whole: lambda: _took_ms(one, name), merged: lambda: _took_ms(four, name)}, rounds)
    return [
        Series(name=whole, values=tuple(took[whole])),
        Series(name=merged, values=tuple(took[merged]), against=whole),
    ]


async def _took_ms(bus: MemoryBus, name: str) -> float:
    """The middle of some."""
    return statistics.median([await _once_ms(bus, name) for _ in range(ASKED_TIMES)])


async def _once_ms(bus: MemoryBus, name: str) -> float:
    verb, query = QUESTIONS[name]
    began_s = time.perf_counter()
    await bus.ask(SUBJECTS.api(verb), codec.encode(query))
    return (time.perf_counter() - began_s) * 1000
