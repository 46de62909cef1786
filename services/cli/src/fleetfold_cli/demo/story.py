"""What happens in the demo, step by step."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from fleetfold_cli.demo import cast
from fleetfold_cli.demo.stage import Stage, Step
from fleetfold_cli.render.placements import nodes_of
from fleetfold_cli.render.words import count
from fleetfold_cli.sizes import format_size
from fleetfold_cli.stack.errors import ServiceFailedError
from fleetfold_cli.stack.readiness import Size, fleet_seen
from fleetfold_cli.stack.stack import DISTRIBUTOR, PLACEMENT_SOLVER, STATE_PROJECTOR, Stack
from fleetfold_client import Fleet, FleetError, Worker
from fleetfold_contracts.answers import DevicesAnswer, DevicesQuery, StateAnswer, StateQuery
from fleetfold_contracts.commands import Cordon, Selector, Uncordon
from fleetfold_contracts.events import (
    Event,
    Liveness,
    LivenessChanged,
    PlacementDecided,
    PlacementMoved,
    PlacementQueued,
    PlacementRefused,
    WorkCompleted,
)
from fleetfold_contracts.workloads import Workload
from fleetfold_devices.simulation.trace import trace_jobs

STEP_WITHIN_S = 40.0

EventT = TypeVar("EventT", bound=Event)


class UnexpectedError(Exception):
    """A service did something else than the demo shows."""


@dataclass
class Result:
    """What the demo shows at its end."""

    refusals: list[PlacementRefused] = field(default_factory=list[PlacementRefused])
    devices: DevicesAnswer | None = None
    state: StateAnswer | None = None


class Story:
    """The steps, in order. Each names the service that has to play its part, so that a failure names it too."""

    def __init__(self, stack: Stack, fleet: Fleet, stage: Stage, size: Size) -> None:
        self.result = Result()
        self._stack = stack
        self._fleet = fleet
        self._stage = stage
        self._size = size
        self._before_the_loss = 0

    async def tell(self) -> Result:
        """Play all of it."""
        await self.see_the_fleet()
        model = await self.place_a_model()
        await self.refuse_the_impossible()
        await self.place_jobs()
        await self.work(model)
        await self.lose_a_node()
        await self.see_it_heal()
        await self.look_back()
        return self.result

    async def see_the_fleet(self) -> None:
        """Every node is heard from."""
        async with self._step("Fleet seen", STATE_PROJECTOR.name) as step:
            await self._stack.answering()
            summary = (await fleet_seen(self._fleet, self._size)).summary
            memory = format_size(summary.total_memory_bytes)
            step.outcome = f"{count(summary.node_count, 'node')}, {count(summary.device_count, 'device')}, {memory}"

    async def place_a_model(self) -> PlacementDecided:
        """A model in shards, one on each of several devices."""
        async with self._step("Sharded model placed", PLACEMENT_SOLVER.name) as step:
            asked_s = time.monotonic()
            outcome = await self._place(cast.MODEL)
            decided_after_ms = (time.monotonic() - asked_s) * 1000
            if not isinstance(outcome, PlacementDecided):
                raise UnexpectedError(f"it was refused: {outcome.summary}")
            nodes = nodes_of(outcome.allocations, None)
            told = f"{len(outcome.allocations)} shards of 12 GiB on {count(len(nodes), 'node')}"
            step.outcome = f"{told}, decided in {decided_after_ms:.0f} ms"
            await self._settle_on_the_lone_node(nodes)
            return outcome

    async def _settle_on_the_lone_node(self, others: Sequence[str]) -> None:
        """Place something on the node that will be killed, which may move from there to one other node."""
        refuge = others[0]
        await self._fleet.do(Cordon(node_id=refuge))
        await self._place(cast.tenant(refuge))
        await self._fleet.do(Uncordon(node_id=refuge))

    async def refuse_the_impossible(self) -> None:
        """What fits nowhere is refused, and told why."""
        async with self._step("Impossible workloads refused", PLACEMENT_SOLVER.name) as step:
            for workload in cast.IMPOSSIBLE:
                outcome = await self._place(workload)
                if not isinstance(outcome, PlacementRefused):
                    raise UnexpectedError(f"{workload.workload_id} was placed")
            step.outcome = f"{len(cast.IMPOSSIBLE)}, each with its reason"

    async def place_jobs(self) -> None:
        """Jobs of the production trace, many at once."""
        async with self._step("Jobs of the trace decided", PLACEMENT_SOLVER.name) as step:
            jobs = trace_jobs(cast.JOBS)
            slots = asyncio.Semaphore(cast.JOBS_AT_ONCE)
            decided = Counter[str]()

            async def place(job: Workload) -> None:
                async with slots:
                    decided[type(await self._place(job)).__name__] += 1
                step.tell(f"{decided.total():,} of {len(jobs):,}")

            asked_s = time.monotonic()
            await asyncio.gather(*(place(job) for job in jobs))
            rate = len(jobs) / (time.monotonic() - asked_s)
            placed, refused = decided[PlacementDecided.__name__], decided[PlacementRefused.__name__]
            step.outcome = f"{placed:,} placed, {refused:,} refused, {rate:.0f} a second"

    async def work(self, model: PlacementDecided) -> None:
        """Items for the devices of the model, pulled and acknowledged by a worker on each."""
        async with self._step("Items done", DISTRIBUTOR.name) as step:
            done = Counter[int]()
            position = await self._fleet.position()
            async with self._working(model, done, step):
                items = [{"prompt": number} for number in range(cast.ITEMS)]
                to = Selector(workload_id=model.workload.workload_id)
                work = await self._fleet.distribute(items, to=to, batch_size=cast.BATCH_SIZE)
                completed = await self._first(position, WorkCompleted, lambda event: event.work_id == work.work_id)
            if done != dict.fromkeys(range(cast.ITEMS), 1):
                raise UnexpectedError(f"{len(done):,} of {cast.ITEMS:,} items were done {done.total():,} times in all")
            step.outcome = f"{completed.done:,} by {count(len(model.allocations), 'worker')}, each once"

    async def lose_a_node(self) -> None:
        """An agent is killed outright, as if its node had lost power."""
        async with self._step("Loss of a node noticed", STATE_PROJECTOR.name) as step:
            position = self._before_the_loss = await self._fleet.position()
            killed_s = time.monotonic()
            await self._stack.services[cast.LONE_AGENT].kill()
            step.tell("waiting for it to be missed")
            await self._first(position, LivenessChanged, _is_loss)
            step.outcome = f"{cast.LONE_NODE} is offline {time.monotonic() - killed_s:.1f} s after its agent was killed"

    async def see_it_heal(self) -> None:
        """What sat on the killed node sits elsewhere, by itself."""
        async with self._step("Placement moved off the killed node", PLACEMENT_SOLVER.name) as step:
            step.tell("waiting for the time of grace")
            moved = await self._first(self._before_the_loss, PlacementMoved, _is_tenants_move)
            step.outcome = f"{cast.TENANT_ID} sits on {moved.allocations[0].node_id} now: {moved.reason}"

    async def look_back(self) -> None:
        """The state at the end."""
        position = await self._fleet.position()
        self.result.devices = await self._fleet.devices(DevicesQuery(at_least=position))
        self.result.state = await self._fleet.state(StateQuery(at_least=position))

    async def _place(self, workload: Workload) -> PlacementDecided | PlacementRefused:
        outcome = await self._fleet.place(workload)
        if isinstance(outcome, PlacementQueued):
            raise UnexpectedError(f"{workload.workload_id} was queued")
        if isinstance(outcome, PlacementRefused):
            self.result.refusals.append(outcome)
        return outcome

    @asynccontextmanager
    async def _working(self, model: PlacementDecided, done: Counter[int], step: Step) -> AsyncGenerator[None, None]:
        workers = [self._fleet.worker(shard.device_id) for shard in model.allocations]
        working = asyncio.gather(*(_work(worker, done, step) for worker in workers))
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()
            await working

    async def _first(self, after: int, kind: type[EventT], holds: Callable[[EventT], bool]) -> EventT:
        async with aclosing(self._fleet.watch(after)) as happenings:
            async for happened in happenings:
                if isinstance(happened.event, kind) and holds(happened.event):
                    return happened.event
        raise AssertionError("events are watched for ever")

    @asynccontextmanager
    async def _step(self, title: str, service: str) -> AsyncGenerator[Step, None]:
        try:
            async with asyncio.timeout(STEP_WITHIN_S):
                with self._stage.step(title) as step:
                    yield step
        except (FleetError, TimeoutError, UnexpectedError) as error:
            problem = str(error) or f"not within {STEP_WITHIN_S:g} s"
            log_file = self._stack.services[service].log_file
            raise ServiceFailedError(service, f"did not play its part in '{title}': {problem}", log_file) from error


async def _work(worker: Worker, done: Counter[int], step: Step) -> None:
    async for item in worker.items():
        done[item.index] += 1
        step.tell(f"{len(done):,} of {cast.ITEMS:,}")


def _is_tenants_move(event: PlacementMoved) -> bool:
    return event.workload_id == cast.TENANT_ID


def _is_loss(event: LivenessChanged) -> bool:
    return event.node_id == cast.LONE_NODE and event.liveness is Liveness.OFFLINE
