"""One vendor of a host: what is shown of its devices while it works, while it does not answer, and after."""

import asyncio
from datetime import UTC, datetime

import pytest

from fleetfold_contracts.inventory import Vendor
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices.isolation.isolated import VendorProcessError
from fleetfold_devices.isolation.look import Look, Question
from fleetfold_devices.meter import READINGS
from fleetfold_devices.port import DevicesError, Fault, Inventory, VendorUnavailableError
from fleetfold_telemetry_agent.hosts import ThisHost
from fleetfold_telemetry_agent.reporter import Seen
from fleetfold_telemetry_agent.settings import AgentSettings
from fleetfold_telemetry_agent.vendor_watch import VendorWatch
from tests.support.examples import a_node
from tests.support.fake_clock import FakeClock

PATIENCE_S = 0.02
TICK_S = 2.0
KILLED = VendorProcessError("nvidia: no answer within 5 s, its process was killed")
NO_DRIVER = VendorUnavailableError("nvidia", "driver not loaded", "install it")
XID = Fault("gpu", "XID 79")


class FakeSource:
    """One device. `trouble` is raised; while it is `wedged`, a look goes on."""

    def __init__(self) -> None:
        self.running = False
        self.trouble: DevicesError | None = None
        self.questions: list[Question] = []
        self.limits_s: list[float] = []
        self.start_count = 0
        self.told = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    def wedges(self) -> None:
        self._free.clear()
        self.told.clear()

    def comes_free(self) -> None:
        self._free.set()

    async def look(self, question: Question, *, within_s: float) -> Look:
        self.start_count += not self.running
        self.running = True
        self.questions.append(question)
        self.limits_s.append(within_s)
        await self._free.wait()
        self.told.set()
        if self.trouble is not None:
            self.running = False
            raise self.trouble
        sample = Sample(device_id="gpu", timestamp=datetime.now(UTC), power_watts=100.0)
        return Look(samples=(sample,), inventory=Inventory() if question.topology else None, faults=(XID,))

    async def close(self) -> None:
        self.running = False


class Scene:
    """A vendor that is watched, tick by tick."""

    def __init__(self, **settings: float) -> None:
        self.clock = FakeClock()
        self.source = FakeSource()
        self.there = True
        self.watch = VendorWatch(
            Vendor.NVIDIA,
            self.source,
            AgentSettings(**settings),  # pyright: ignore[reportArgumentType]
            self.clock,
            patience_s=PATIENCE_S,
            is_there=lambda: self.there,
        )

    async def tick(self, after_s: float = TICK_S) -> list[Seen]:
        self.clock.passes(after_s)
        return await self.watch.look()

    async def sample(self, after_s: float = TICK_S) -> Sample:
        """The readings that are shown of the device."""
        (seen,) = await self.tick(after_s)
        (sample,) = seen.look.samples
        return sample

    async def starts_within(self, seconds: int) -> list[int]:
        """After how many seconds the driver was opened, with a tick each second."""
        starts: list[int] = []
        for second in range(1, seconds + 1):
            before = self.source.start_count
            await self.tick(1)
            starts += [second] * (self.source.start_count - before)
        return starts


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_vendor_that_answers_is_shown_as_it_is(scene: Scene) -> None:
    (first,) = await scene.tick()
    (second,) = await scene.tick()
    assert (first.vendor, first.opened, second.opened) == (Vendor.NVIDIA, True, False)
    assert second.look.samples[0].power_watts == 100.0
    assert second.look.samples[0].stale_s is None
    assert scene.source.start_count == 1


async def test_slow_readings_are_asked_for_at_the_start_and_then_at_their_own_pace(scene: Scene) -> None:
    for _ in range(62):
        await scene.tick(1)
    asked = list(enumerate(scene.source.questions))
    assert [second for second, question in asked if question.health] == [0, 15, 30, 45, 60]
    assert [second for second, question in asked if question.topology] == [0, 60]
    limits_s = {
        question.topology: limit_s
        for question, limit_s in zip(scene.source.questions, scene.source.limits_s, strict=True)
    }
    assert limits_s == {True: 30.0, False: 5.0}


async def test_a_vendor_that_does_not_answer_holds_nobody_up_and_its_last_readings_are_shown_with_their_age(
    scene: Scene,
) -> None:
    await scene.tick()
    scene.source.wedges()
    async with asyncio.timeout(5):
        ages = [(await scene.sample()).stale_s for _ in range(3)]
    assert ages == [2.0, 4.0, 6.0]
    assert len(scene.source.questions) == 2, "one look at a time"
    scene.source.comes_free()
    await scene.watch.close()


async def test_readings_that_are_too_old_are_not_shown_and_the_device_is_lost(scene: Scene) -> None:
    await scene.tick()
    scene.source.trouble = KILLED
    stale = await scene.sample(30)
    (seen,) = await scene.tick(1)
    assert (stale.stale_s, stale.power_watts) == (30, 100.0)
    assert seen.look.samples[0].absent == dict.fromkeys(READINGS, Absence.LOST)
    assert seen.look.samples[0].power_watts is None
    assert seen.why_lost == str(KILLED)


async def test_what_a_vendor_tells_late_counts_at_the_next_tick(scene: Scene) -> None:
    await scene.tick()
    scene.source.wedges()
    await scene.tick()
    scene.source.comes_free()
    await asyncio.wait_for(scene.source.told.wait(), 5)
    await asyncio.sleep(0)
    seen = await scene.tick()
    assert [one.look.faults for one in seen] == [(XID,), (XID,)], "the late look, and the one of this tick"


async def test_a_driver_that_goes_away_takes_its_devices_along_and_brings_them_back(scene: Scene) -> None:
    await scene.tick()
    scene.source.trouble = NO_DRIVER
    assert set((await scene.sample()).absent.values()) == {Absence.LOST}

    scene.source.trouble = None
    (back,) = await scene.tick()
    assert back.opened
    assert back.look.inventory is not None
    assert back.look.samples[0].power_watts == 100.0


async def test_a_vendor_that_fails_is_started_again_after_pauses_that_double_up_to_a_minute(scene: Scene) -> None:
    await scene.tick()
    scene.source.trouble = KILLED
    await scene.tick()
    starts = await scene.starts_within(200)
    assert starts == [1, 3, 7, 15, 31, 63, 123, 183]


async def test_a_vendor_that_answered_for_a_minute_starts_again_at_once_and_one_that_flaps_does_not(
    scene: Scene,
) -> None:
    await scene.tick()
    for pause_s in (1, 2, 4):
        scene.source.trouble = KILLED
        await scene.tick(1)
        scene.source.trouble = None
        assert await scene.starts_within(pause_s) == [pause_s]

    for _ in range(60):
        await scene.tick(1)
    scene.source.trouble = KILLED
    await scene.tick(1)
    assert await scene.starts_within(1) == [1]


async def test_a_vendor_without_a_sign_of_a_driver_costs_no_process_and_is_looked_for_seldom() -> None:
    scene = Scene(topology_interval_s=10)
    scene.there = False
    assert await scene.starts_within(100) == []
    assert scene.watch.device_count == 0

    scene.there = True
    # It was looked for after 0, 10, 30 and 70 seconds.
    assert await scene.starts_within(60) == [51]
    assert scene.watch.device_count == 1


async def test_a_driver_that_is_not_there_tells_that_devices_of_earlier_runs_are_gone() -> None:
    scene = Scene()
    scene.source.trouble = NO_DRIVER
    (seen,) = await scene.tick()
    assert seen.look.inventory == Inventory()
    assert seen.why_lost == str(NO_DRIVER)


async def test_nothing_is_said_of_devices_before_the_driver_has_told(scene: Scene) -> None:
    scene.source.wedges()
    assert await scene.tick() == []
    assert scene.watch.device_count is None
    scene.source.comes_free()
    await scene.watch.close()


async def test_closing_ends_a_look_that_is_under_way(scene: Scene) -> None:
    scene.source.wedges()
    await scene.tick()
    async with asyncio.timeout(5):
        await scene.watch.close()
    assert not scene.source.running


async def test_a_wedged_vendor_holds_up_no_other_one_on_the_same_host() -> None:
    wedged, well = Scene(), Scene()
    host = ThisHost(a_node("desk"), [wedged.watch, well.watch])
    await host.look()
    wedged.source.wedges()
    async with asyncio.timeout(5):
        for _ in range(3):
            wedged.clock.passes(TICK_S)
            well.clock.passes(TICK_S)
            stale, fresh = (seen.look.samples[0] for seen in await host.look())
            assert stale.stale_s is not None
            assert fresh.stale_s is None
        await host.close()
