"""How much memory each process of the stack holds after some load. Read from `/proc`, so on Linux alone."""

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path

from fleetfold_client import Fleet, Worker
from fleetfold_contracts.commands import Selector
from fleetfold_contracts.events import PlacementDecided
from tests.bench.measure import Effort, Report, Series
from tests.bench.stacks import ECHO, Running, a_workload, running
from tests.support.waiting import eventually

PLACED_AT_ONCE = 32
BATCH_SIZE = 25
LOADED_WITHIN_S = 120.0
KIB_A_MIB = 1024

BARE = "nats-py alone"
SERVER = "nats-server"


async def measure(folder: Path, effort: Effort) -> Report:
    """RSS counts what a process shares with others in full, PSS by its share of it."""
    async with running(folder, effort.fleets[-1]) as stack:
        await _load(stack.fleet, effort)
        series = [one for name, pid in _processes(stack) for one in _series(name, pid)]
    title = f"Memory after {effort.placements} placements and {effort.items} items on {effort.fleets[-1]}"
    return Report(title=title, unit="MiB", series=tuple(series))


async def _load(fleet: Fleet, effort: Effort) -> None:
    placed = await _place(fleet, effort.placements)
    workers = [fleet.worker(allocation.device_id) for allocation in placed.allocations]
    async with asyncio.TaskGroup() as working:
        for worker in workers:
            working.create_task(_work(worker))
        to = Selector(workload_id=placed.workload.workload_id)
        work = await fleet.distribute(effort.items, to=to, batch_size=BATCH_SIZE)
        await eventually(lambda: _completed(fleet, work.work_id), within_s=LOADED_WITHIN_S, what="the end of the work")
        for worker in workers:
            worker.stop()


async def _place(fleet: Fleet, count: int) -> PlacementDecided:
    """Place so many workloads, some at once. Gives the last one."""
    slots = asyncio.Semaphore(PLACED_AT_ONCE)

    async def place() -> PlacementDecided:
        async with slots:
            outcome = await fleet.place(a_workload())
        assert isinstance(outcome, PlacementDecided), outcome
        return outcome

    return (await asyncio.gather(*(place() for _ in range(count))))[-1]


async def _work(worker: Worker) -> None:
    async for _ in worker.items():
        pass


async def _completed(fleet: Fleet, work_id: str) -> bool:
    return any(work.work_id == work_id and work.completed for work in (await fleet.state()).works)


def _processes(stack: Running) -> Iterator[tuple[str, int]]:
    echo = stack.stack.services[ECHO.name]
    named = [(BARE, echo), *((name, service) for name, service in stack.stack.services.items() if service is not echo)]
    for name, service in named:
        assert service.pid is not None, f"{name} has ended"
        yield name, service.pid
    yield SERVER, _server_pid()


def _server_pid() -> int:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return next(int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == SERVER)


def _series(name: str, pid: int) -> Iterator[Series]:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    for kind in ("Rss", "Pss"):
        found = re.search(rf"^{kind}:\s+(\d+) kB", rollup, re.MULTILINE)
        assert found is not None, "the kernel says it of every process"
        against = None if name == BARE else f"{BARE}, {kind.upper()}"
        yield Series(name=f"{name}, {kind.upper()}", values=(int(found[1]) / KIB_A_MIB,), against=against)
