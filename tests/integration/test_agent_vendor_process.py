"""A vendor in a process of its own: what it says arrives, and whatever it does, whoever asked goes on."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetfold_contracts.samples import Absence
from fleetfold_devices.isolation.isolated import IsolatedSource, VendorProcessError
from fleetfold_devices.isolation.look import Question
from fleetfold_devices.port import Fault, VendorUnavailableError
from tests.fakes.scripted_vendor import Script, capabilities
from tests.support.fleetfold_command import processes_that_mention, wait_until_none_mention
from tests.support.scripted import ScriptedVendor
from tests.support.waiting import eventually

SAMPLES = Question()
EVERYTHING = Question(health=True, topology=True)
LONG_S = 30.0
SHORT_S = 0.3

LOOK_AND_STAY = """
import asyncio, sys
from fleetfold_devices.isolation.isolated import IsolatedSource
from fleetfold_devices.isolation.look import Question

async def main():
    await IsolatedSource("scripted", sys.argv[1:]).look(Question(), within_s=600)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def vendor(tmp_path: Path) -> ScriptedVendor:
    return ScriptedVendor(tmp_path)


@pytest.fixture
async def source(vendor: ScriptedVendor) -> AsyncIterator[IsolatedSource]:
    source = IsolatedSource("scripted", vendor.command)
    yield source
    await source.close()


async def test_a_look_tells_what_was_asked_for_and_no_more(vendor: ScriptedVendor, source: IsolatedSource) -> None:
    vendor.plays(Script(devices=["a", "b"], lost=["b"], faults=[Fault("b", "XID 79", "fell off the bus")]))

    before = datetime.now(UTC)
    look = await source.look(EVERYTHING, within_s=LONG_S)
    assert look.inventory is not None
    assert look.inventory.devices == (capabilities("a"), capabilities("b"))
    assert [link.ends for link in look.links or ()] == [("a", "b")]
    assert [health.device_id for health in look.health] == ["a", "b"]
    assert look.faults == (Fault("b", "XID 79", "fell off the bus"),)
    assert all(before < sample.timestamp < datetime.now(UTC) for sample in look.samples)
    assert Absence.LOST in look.samples[1].absent.values()

    cheap = await source.look(SAMPLES, within_s=LONG_S)
    assert len(cheap.samples) == 2
    assert (cheap.inventory, cheap.links, cheap.health) == (None, None, ())


async def test_what_a_binding_or_a_library_prints_is_not_taken_for_a_reply(
    vendor: ScriptedVendor, source: IsolatedSource
) -> None:
    vendor.plays(Script(devices=["a"], chatter=True))
    assert len((await source.look(EVERYTHING, within_s=LONG_S)).samples) == 1


async def test_a_wedged_call_is_killed_at_the_deadline_and_the_next_look_starts_anew(
    vendor: ScriptedVendor, source: IsolatedSource
) -> None:
    vendor.plays(Script(devices=["a"]))
    await source.look(EVERYTHING, within_s=LONG_S)

    vendor.plays(Script(devices=["a"], wedged=True))
    with pytest.raises(VendorProcessError, match=r"no answer within 0\.3 s"):
        await source.look(SAMPLES, within_s=SHORT_S)
    assert not source.running
    assert not processes_that_mention(vendor.command[-1])

    vendor.plays(Script(devices=["a"]))
    assert len((await source.look(EVERYTHING, within_s=LONG_S)).samples) == 1


async def test_a_crash_is_told_with_the_signal(vendor: ScriptedVendor, source: IsolatedSource) -> None:
    vendor.plays(Script(crash=True))
    with pytest.raises(VendorProcessError, match="SIGABRT"):
        await source.look(EVERYTHING, within_s=LONG_S)
    assert not source.running


async def test_a_fault_of_an_adapter_ends_its_process_alone(vendor: ScriptedVendor, source: IsolatedSource) -> None:
    vendor.plays(Script(fault=True))
    with pytest.raises(VendorProcessError, match="exit code 1"):
        await source.look(EVERYTHING, within_s=LONG_S)


async def test_a_process_that_died_between_two_looks_is_a_failure_of_the_next(
    vendor: ScriptedVendor, source: IsolatedSource
) -> None:
    vendor.plays(Script(devices=["a"]))
    await source.look(EVERYTHING, within_s=LONG_S)
    (process_id,) = processes_that_mention(vendor.command[-1])
    os.kill(process_id, signal.SIGKILL)

    with pytest.raises(VendorProcessError, match="SIGKILL"):
        await source.look(SAMPLES, within_s=LONG_S)


async def test_a_vendor_that_is_not_there_says_what_is_missing(vendor: ScriptedVendor, source: IsolatedSource) -> None:
    vendor.plays(Script(unavailable=True))
    with pytest.raises(VendorUnavailableError) as raised:
        await source.look(EVERYTHING, within_s=LONG_S)
    assert (raised.value.missing, raised.value.remedy) == ("driver not loaded", "install it")

    vendor.plays(Script(devices=["a"]))
    await source.look(EVERYTHING, within_s=LONG_S)
    vendor.plays(Script(unavailable=True))
    with pytest.raises(VendorUnavailableError):
        await source.look(SAMPLES, within_s=LONG_S)
    assert not source.running


async def test_what_is_no_reply_is_refused() -> None:
    source = IsolatedSource("scripted", [sys.executable, "-c", "print('a word on the pipe')"])
    with pytest.raises(VendorProcessError, match="cannot be read"):
        await source.look(EVERYTHING, within_s=LONG_S)


async def test_a_look_that_is_given_up_ends_the_process(vendor: ScriptedVendor, source: IsolatedSource) -> None:
    vendor.plays(Script(wedged=True))
    looking = asyncio.create_task(source.look(EVERYTHING, within_s=LONG_S))
    await eventually(lambda: _runs(vendor), what="the start of the process")
    looking.cancel()
    await asyncio.wait({looking})
    await source.close()
    assert not processes_that_mention(vendor.command[-1])


async def _runs(vendor: ScriptedVendor) -> bool:
    return bool(processes_that_mention(vendor.command[-1]))


@pytest.mark.parametrize("wedged", [False, True])
def test_it_ends_with_whoever_started_it_even_when_wedged(vendor: ScriptedVendor, *, wedged: bool) -> None:
    vendor.plays(Script(wedged=wedged))
    parent = subprocess.Popen([sys.executable, "-c", LOOK_AND_STAY, *vendor.command])
    give_up_at = time.monotonic() + LONG_S
    while len(processes_that_mention(vendor.command[-1])) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until_none_mention(vendor.command[-1])
