"""What an agent costs: processor, start, memory, bytes, and for how many nodes one process can stand.

The devices are simulated: what a vendor's own calls cost is not in it. Read from `/proc`, so on Linux alone.
"""

import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import Bus
from fleetfold_bus.streams import SAMPLES
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.subjects import Subjects
from fleetfold_telemetry_agent.hosts import Host, SimulatedHost, hosts_of
from fleetfold_telemetry_agent.outbox import Outbox
from fleetfold_telemetry_agent.service import NODES_A_BREATH, NodeReport
from fleetfold_telemetry_agent.settings import AgentSettings
from tests.bench.measure import Effort, Report, Series
from tests.support.agents import agent_context
from tests.support.fake_clock import FakeClock

SUBJECTS = Subjects("bench")
GPUS = 8
TICK_S = 2.0
TICKS_A_MINUTE = 60 / TICK_S
TICKS_LEFT_OUT = 2
"""The first is a key frame, and finds the devices."""
TICKS_TIMED = 5
CHANGES_A_TICK = 0.02
"""How likely a device gets another load within a tick: every hundred seconds."""
GIB = 1024**3
BYTES_A_MIB = 1024**2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
NANOSECONDS = 1e9

NODES_WANTED = "nodes of 8 GPUs that one process should stand for at 2 s"
NODES = "nodes of 8 GPUs that one process can stand for at 2 s"
MEMORY_EARLY = "RSS of a bench that is an agent of 8 GPUs, after a tenth of the ticks, MiB"
BYTES_ALL = "bytes a node of 8 GPUs a minute, without a dead band"


async def measure(folder: Path, effort: Effort) -> Report:
    """Each figure by its own unit."""
    with NatsServer(folder / "nats") as server:
        bus = await NatsBus.connect(server.url, subjects=SUBJECTS, name="bench")
        await bus.ensure_streams()
        ticks_s = await _ticks_s(folder, bus, effort.nodes)
        cpu_percent = await _cpu_percent(folder, bus, server.url, effort.watched_s)
        starts_s = [await _start_s(bus, server.url) for _ in range(effort.starts)]
        await bus.close()
    processes = (
        Series(name=NODES_WANTED, values=(5000.0,) * len(ticks_s)),
        Series(name=NODES, values=tuple(effort.nodes * TICK_S / s for s in ticks_s), against=NODES_WANTED, goal=1.0),
        Series(name=f"a tick of {effort.nodes:,} nodes of 8 GPUs, s", values=tuple(ticks_s)),
        Series(name="CPU of an agent of 8 GPUs at 2 s, % of a core", values=(cpu_percent,)),
        Series(name="start of an agent without GPUs to its first sample, s", values=tuple(starts_s)),
    )
    return Report(title="An agent", unit="each row in its own", series=processes + await _ticked(folder, effort.ticks))


async def _ticked(folder: Path, ticks: int) -> tuple[Series, ...]:
    """What comes of many ticks, for which nobody waits."""
    early_mib, late_mib = await _rss_mib(folder, ticks)
    every = await _bytes_a_minute(folder, ticks, _without_dead_band())
    told = await _bytes_a_minute(folder, ticks, {})
    return (
        Series(name=MEMORY_EARLY, values=(early_mib,)),
        Series(name=f"the same after all {ticks:,} ticks, MiB", values=(late_mib,), against=MEMORY_EARLY),
        Series(name=BYTES_ALL, values=(every,)),
        Series(name="the same with the dead band", values=(told,), against=BYTES_ALL),
    )


async def _ticks_s(folder: Path, bus: Bus, node_count: int) -> list[float]:
    """How long one process takes for a tick of all nodes, the first ones left out."""
    clock = FakeClock()
    reports = _reports(_hosts(folder, node_count, clock), bus, clock)
    took_s: list[float] = []
    for _ in range(TICKS_LEFT_OUT + TICKS_TIMED):
        clock.passes(TICK_S)
        started_s = time.perf_counter()
        for number, report in enumerate(reports, start=1):
            await report.tick()
            if number % NODES_A_BREATH == 0:
                await asyncio.sleep(0)
        took_s.append(time.perf_counter() - started_s)
    return took_s[TICKS_LEFT_OUT:]


async def _cpu_percent(folder: Path, bus: Bus, url: str, watched_s: float) -> float:
    """What a process takes of one core while it reports, its start left out."""
    async with _agent(url, FLEETFOLD_FLEET=str(_fleet_file(folder, 1))) as process:
        await _first_sample(bus)
        before_s = _cpu_s(process.pid)
        await asyncio.sleep(watched_s)
        return 100 * (_cpu_s(process.pid) - before_s) / watched_s


async def _start_s(bus: Bus, url: str) -> float:
    started_s = time.perf_counter()
    async with _agent(url):
        await _first_sample(bus)
        return time.perf_counter() - started_s


async def _rss_mib(folder: Path, ticks: int) -> tuple[float, float]:
    """The memory of this process after a tenth of the ticks, and after all."""
    clock = FakeClock()
    (report,) = _reports(_hosts(folder, 1, clock), _Scale(), clock)
    after: dict[int, float] = {}
    for tick in range(1, ticks + 1):
        clock.passes(TICK_S)
        await report.tick()
        if tick in (ticks // 10, ticks):
            after[tick] = _rss_bytes() / BYTES_A_MIB
    return after[ticks // 10], after[ticks]


async def _bytes_a_minute(folder: Path, ticks: int, settings: Mapping[str, float]) -> float:
    """What a node publishes whose devices are given work and freed again."""
    clock, scale, random = FakeClock(), _Scale(), Random(1)
    (host,) = _hosts(folder, 1, clock)
    (report,) = _reports([host], scale, clock, settings)
    for _ in range(ticks):
        clock.passes(TICK_S)
        _change_loads(host, random)
        await report.tick()
    return scale.weighed_bytes / ticks * TICKS_A_MINUTE


def _change_loads(host: Host, random: Random) -> None:
    assert isinstance(host, SimulatedHost)
    for gpu in range(GPUS):
        if random.random() < CHANGES_A_TICK:
            device_id = f"{host.node.node_id}-gpu{gpu}"
            host.source.set_load(device_id, random.randrange(20) * GIB, random.uniform(0, 100))


class _Scale(MemoryBus):
    """A bus that keeps nothing, and weighs what is published."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), SUBJECTS)
        self.weighed_bytes = 0

    async def publish(self, subject: str, payload: bytes) -> None:  # noqa: ARG002
        """Weigh it."""
        self.weighed_bytes += len(payload)


def _hosts(folder: Path, node_count: int, clock: FakeClock) -> list[Host]:
    return hosts_of(AgentSettings(fleet=str(_fleet_file(folder, node_count))), clock)


def _reports(hosts: list[Host], bus: Bus, clock: FakeClock, settings: Mapping[str, float] = {}) -> list[NodeReport]:
    context = agent_context(msgspec.convert({"root": SUBJECTS.root, **settings}, AgentSettings), bus, clock)
    outbox = Outbox(bus, SUBJECTS, clock, limit=context.settings.outbox_limit)
    return [NodeReport(context, outbox, host) for host in hosts]


def _without_dead_band() -> dict[str, float]:
    return dict.fromkeys(
        ("memory_dead_band_points", "temperature_dead_band_celsius", "utilization_dead_band_points"), 0.0
    )


def _fleet_file(folder: Path, node_count: int) -> Path:
    file = folder / f"{node_count}.toml"
    devices = f'devices = [{{ model = "A10", count = {GPUS} }}]'
    file.write_text(f'[[nodes]]\nname = "node"\ncount = {node_count}\n{devices}\n', encoding="utf-8")
    return file


@asynccontextmanager
async def _agent(url: str, **settings: str) -> AsyncGenerator[Process]:
    environment = {**os.environ, "FLEETFOLD_NATS_URL": url, "FLEETFOLD_ROOT": SUBJECTS.root, **settings}
    command = [sys.executable, "-m", "fleetfold_telemetry_agent"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdin=DEVNULL, stderr=DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _first_sample(bus: Bus) -> None:
    """Wait for a sample that is not there yet."""
    stream = SUBJECTS.stream(SAMPLES)
    async with aclosing(bus.read(stream, after=await bus.last_sequence(stream))) as batches:
        async for records in batches:
            if records:
                return


def _cpu_s(process_id: int) -> float:
    """What all threads of a process took of the processor, in all."""
    threads = Path(f"/proc/{process_id}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / NANOSECONDS


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES
