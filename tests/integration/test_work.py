"""Work on a real server: handed out, done, failed, moved, cancelled, and none of it lost or counted twice."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from fleetfold_client import Fleet
from fleetfold_client.worker import WorkItem
from fleetfold_contracts import commands as cmd
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import WorksAnswer
from tests.support.cluster import Cluster, Logged
from tests.support.fleetfold_command import fleetfold
from tests.support.waiting import eventually

SILENT_AFTER_S = 1.5


async def started(cluster: Cluster, devices: int) -> list[str]:
    """A cluster with a distributor that answers."""
    names = await cluster.add_devices(devices)
    cluster.start("distributor", silent_after_s=str(SILENT_AFTER_S))

    async def answers() -> bool:
        return await cluster.ask("works", WorksAnswer) is not None

    await eventually(answers, what="the distributor")
    return names


@asynccontextmanager
async def working(cluster: Cluster, devices: Sequence[str], done: Counter[object]) -> AsyncGenerator[Fleet]:
    """A worker for each device. An item that is the text `bad` fails; `slow` takes for ever."""
    fleet = Fleet(cluster.bus, root=cluster.subjects.root)

    async def do(item: WorkItem) -> None:
        if item.body == "slow":
            await asyncio.Event().wait()
        if item.body == "bad":
            raise ValueError("it is bad")
        done[item.index] += 1

    workers = [fleet.worker(device, silent_after_s=SILENT_AFTER_S) for device in devices]
    tasks = [asyncio.ensure_future(worker.run(do)) for worker in workers]
    try:
        yield fleet
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def completed(logged: Sequence[Logged]) -> list[evt.WorkCompleted]:
    return [entry.event for entry in logged if isinstance(entry.event, evt.WorkCompleted)]


def raw(*values: object) -> tuple[msgspec.Raw, ...]:
    return tuple(msgspec.Raw(msgspec.json.encode(value)) for value in values)


async def test_a_killed_distributor_is_followed_by_one_that_goes_on(cluster: Cluster) -> None:
    devices = await started(cluster, 4)
    done: Counter[object] = Counter()
    async with working(cluster, devices, done):
        await cluster.command("distribute", cmd.Distribute(count=20_000, work_id="w", batch_size=20), "w")
        for batches in (50, 300):
            await cluster.log(
                lambda logged, n=batches: sum(isinstance(one.event, evt.BatchFinished) for one in logged) >= n
            )
            cluster.processes[-1].kill()
            cluster.start("distributor", silent_after_s=str(SILENT_AFTER_S))
        logged = await cluster.log(lambda logged: bool(completed(logged)))
    (end,) = completed(logged)
    assert (end.done, end.redone, sum(share.done for share in end.devices)) == (20_000, 0, 20_000)
    assert done == dict.fromkeys(range(20_000), 1)


async def test_an_item_that_fails_is_tried_elsewhere_and_told_with_its_story_and_tried_anew(cluster: Cluster) -> None:
    devices = await started(cluster, 2)
    done: Counter[object] = Counter()
    async with working(cluster, devices, done) as fleet:
        items = raw("good", "bad", "good", "good")
        command = cmd.Distribute(items=items, work_id="w", max_tries=2, retry_delay_s=0.01)
        await fleet.do(command)
        await cluster.log(lambda logged: len(completed(logged)) == 1)
        failed = await fleet.failed("w")
        assert [item.index for item in failed.items] == [1]
        assert {one.device_id for one in failed.items[0].tries} == set(devices)
        assert "it is bad" in failed.items[0].tries[0].reason

        await fleet.retry_work("w")
        logged = await cluster.log(lambda logged: len(completed(logged)) == 2)
    told = [entry.event for entry in logged if isinstance(entry.event, evt.ItemFailed)]
    assert [(event.index, bytes(event.body)) for event in told] == [(1, b'"bad"')] * 2
    assert [(end.done, end.failed) for end in completed(logged)] == [(3, 1)] * 2


async def test_what_nobody_takes_goes_to_others_and_a_worker_that_comes_late_gets_its_share(cluster: Cluster) -> None:
    devices = await started(cluster, 3)
    done: Counter[object] = Counter()
    async with working(cluster, devices[:2], done) as fleet:
        await fleet.distribute(300, work_id="w", batch_size=10)
        logged = await cluster.log(lambda logged: bool(completed(logged)))
        silent = [e.event for e in logged if isinstance(e.event, evt.WorkReassigned) and e.event.silent]
        assert [event.device_id for event in silent] == [devices[2]]
        assert done == dict.fromkeys(range(300), 1)
        async with working(cluster, devices[2:], done):
            await fleet.distribute(300, work_id="v", batch_size=10, to=cmd.Selector(devices=(devices[2],)))
            await cluster.log(lambda logged: len(completed(logged)) == 2)
    assert done == dict.fromkeys(range(300), 2)


async def test_the_batches_of_a_lost_device_go_to_others_at_once(cluster: Cluster) -> None:
    devices = await started(cluster, 2)
    done: Counter[object] = Counter()
    async with working(cluster, devices[1:], done) as fleet:
        await fleet.distribute(100, work_id="w", batch_size=10)
        await cluster.append(evt.DeviceLost(node_id="node-000", device_id=devices[0]), "lost")
        logged = await cluster.log(lambda logged: bool(completed(logged)))
    assert done == dict.fromkeys(range(100), 1)
    assert any(isinstance(e.event, evt.WorkReassigned) and e.event.batches == (0,) for e in logged)


async def test_cancelling_takes_back_what_no_worker_holds(cluster: Cluster) -> None:
    devices = await started(cluster, 2)
    async with working(cluster, devices[:1], Counter()) as fleet:
        await fleet.do(cmd.Distribute(items=raw("slow", *range(99)), work_id="w", batch_size=1))
        await cluster.log(lambda logged: any(isinstance(e.event, evt.WorkDispatched) for e in logged))
        await fleet.cancel_work("w")

        async def taken_back() -> bool:
            work = (await fleet.works("w")).works[0]
            return work.waiting <= 1 and work.cancelled > 0

        await eventually(taken_back, what="all but the held item being cancelled")
        work = (await fleet.works("w")).works[0]
    assert (work.waiting, work.done + work.cancelled) == (1, 99)


async def test_items_are_drawn_from_a_subject_in_order(cluster: Cluster) -> None:
    devices = await started(cluster, 1)
    root = cluster.subjects.root
    source = cmd.Source(stream=cluster.subjects.stream("CMD"), subject=f"{root}.cmd.unheard")
    for index in range(50):
        await cluster.bus.append(source.subject, b"%d" % index if index % 2 else b"no json", message_id=f"item-{index}")
    bodies: list[object] = []
    fleet = Fleet(cluster.bus, root=root)
    await fleet.distribute(source, work_id="w", batch_size=7)
    async for item in fleet.worker(devices[0]).items():
        bodies.append(item.body)
        if len(bodies) == 50:
            break
    assert bodies == [index if index % 2 else "no json" for index in range(50)]


async def test_a_source_that_is_not_there_is_refused(cluster: Cluster) -> None:
    await started(cluster, 1)
    fleet = Fleet(cluster.bus, root=cluster.subjects.root)
    command = cmd.Distribute(command_id="odd", source=cmd.Source(stream="NOWHERE", subject="x"))
    await cluster.command("distribute", command, "odd")
    (outcome,) = (await cluster.outcomes(["odd"]))["odd"]
    assert isinstance(outcome, evt.CommandRejected)
    assert outcome.field == "$.source.stream"
    assert (await fleet.works()).works == ()


@pytest.mark.parametrize("leaves", ["cordoned", "drained"])
async def test_what_a_leaving_device_has_not_begun_goes_to_others_and_what_it_holds_it_finishes(
    cluster: Cluster, leaves: str
) -> None:
    leaving, staying = await started(cluster, 2)
    fleet = Fleet(cluster.bus, root=cluster.subjects.root)
    done = {leaving: Counter[int](), staying: Counter[int]()}
    holds, may_end = asyncio.Event(), asyncio.Event()

    async def do_and_then_hold(item: WorkItem) -> None:
        if done[leaving].total() >= 5:
            holds.set()
            await may_end.wait()
        done[leaving][item.index] += 1

    async def do_once_the_other_holds(item: WorkItem) -> None:
        await holds.wait()
        done[staying][item.index] += 1

    works = {leaving: do_and_then_hold, staying: do_once_the_other_holds}
    tasks = [
        asyncio.ensure_future(fleet.worker(device, silent_after_s=SILENT_AFTER_S).run(do))
        for device, do in works.items()
    ]
    await fleet.distribute(200, work_id="w", batch_size=5)
    await holds.wait()
    if leaves == "cordoned":
        await cluster.append(evt.DeviceCordoned(pool="default", device_id=leaving), "leaves")
    else:
        await cluster.append(evt.DeviceDrainStarted(pool="default", device_id=leaving), "leaves")

    async def all_but_what_is_held() -> bool:
        return (await fleet.works("w")).works[0].waiting <= 5

    await eventually(all_but_what_is_held, what="the others doing the rest")
    may_end.set()
    (end,) = completed(await cluster.log(lambda logged: bool(completed(logged))))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert (end.done, end.redone) == (200, 0)
    assert done[leaving] + done[staying] == dict.fromkeys(range(200), 1)


async def test_two_distributors_at_once_decide_each_thing_once(cluster: Cluster) -> None:
    devices = await started(cluster, 4)
    cluster.start("distributor", silent_after_s=str(SILENT_AFTER_S))
    done: Counter[object] = Counter()
    async with working(cluster, devices, done) as fleet:
        for work_id in ("v", "w"):
            await fleet.distribute(3000, work_id=work_id, batch_size=10)
        logged = await cluster.log(lambda logged: len(completed(logged)) == 2)
    assert [(end.done, end.redone) for end in completed(logged)] == [(3000, 0)] * 2
    assert done == dict.fromkeys(range(3000), 2)


async def test_works_are_listed_retried_and_cancelled_at_the_command_line(cluster: Cluster) -> None:
    devices = await started(cluster, 2)

    async def said(*arguments: str) -> str:
        environment = {"FLEETFOLD_NATS_URL": cluster.url, "FLEETFOLD_ROOT": cluster.subjects.root}
        ended = await asyncio.to_thread(lambda: fleetfold("work", *arguments, **environment))
        assert ended.code == 0, ended.stderr
        return ended.stdout

    async def told(*arguments: str) -> dict[str, Any]:
        return json.loads(await said(*arguments, "--json"))

    async with working(cluster, devices, Counter()) as fleet:
        await fleet.do(cmd.Distribute(items=raw("good", "bad"), work_id="w", max_tries=2, retry_delay_s=0.01))
        await cluster.log(lambda logged: len(completed(logged)) == 1)
        assert (await told("list"))["works"][0]["failed"] == 1
        assert sum(device.get("done", 0) for device in (await told("list", "w"))["devices"]) == 1
        assert [item["index"] for item in (await told("failed", "w"))["items"]] == [1]
        assert "it is bad" in await said("failed", "w")
        assert "1 item tried anew" in await said("retry", "w", "--item", "1")
        await cluster.log(lambda logged: len(completed(logged)) == 2)

        await fleet.do(cmd.Distribute(items=raw(*["slow"] * 20), work_id="s", batch_size=1))
        assert "s: what is not started" in await said("cancel", "s")
        assert (await told("list", "s"))["works"][0]["cancelled"] > 0
