"""`fleetfold demo` shows the whole system, and leaves no process and no folder behind, whenever it is stopped."""

import os
import re
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.support.fleetfold_command import Running, processes_that_mention, running, wait_until_none_mention

WITHIN_S = 60


@contextmanager
def demo(folder: Path) -> Generator[Running, None, None]:
    """The demo, with a folder of its own for what is temporary."""
    with running("demo", environment={"TMPDIR": str(folder)}) as process:
        yield process


def nothing_is_left(folder: Path) -> None:
    wait_until_none_mention(str(folder))
    assert list(folder.iterdir()) == []


def test_the_demo_shows_all_of_it(tmp_path: Path) -> None:
    with demo(tmp_path) as running_demo:
        began_s = monotonic()
        shown = running_demo.rest()
        assert running_demo.process.wait() == 0, shown
        assert monotonic() - began_s < WITHIN_S
    nothing_is_left(tmp_path)

    assert "65 nodes" in shown
    assert "8 shards of 12 GiB" in shown
    assert "1,000 by 8 workers, each once" in shown
    assert "lone-node is offline" in shown
    decided = re.search(r"Jobs of the trace decided: (\d+) placed, (\d+) refused", shown)
    assert decided is not None
    assert int(decided[1]) + int(decided[2]) == 300
    for refused, reason in (("giant", "no memory"), ("snob", "wrong model"), ("crowd", "together")):
        assert re.search(rf"^{refused} .*{reason}", shown, re.MULTILINE)
    for table in ("Devices", "Placements", "Refusals", "Items", "Times"):
        assert re.search(rf"^{table}$", shown, re.MULTILINE)


def folder_is_made(running_demo: Running, folder: Path) -> None:
    _until(lambda: any(folder.iterdir()), running_demo)


def server_is_started(running_demo: Running, folder: Path) -> None:
    _until(lambda: any(folder.glob("*/nats/nats-server.log")), running_demo)


def first_service_is_started(running_demo: Running, folder: Path) -> None:
    _until(lambda: any(folder.glob("*/logs/*.log")), running_demo)


def stack_is_started(running_demo: Running, folder: Path) -> None:
    running_demo.wait_for("Stack started")


def jobs_are_placed(running_demo: Running, folder: Path) -> None:
    running_demo.wait_for("Impossible workloads refused")


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        (folder_is_made, signal.SIGINT),
        (server_is_started, signal.SIGTERM),
        (first_service_is_started, signal.SIGHUP),
        (stack_is_started, signal.SIGINT),
        (jobs_are_placed, signal.SIGTERM),
    ],
)
def test_a_demo_that_is_stopped_leaves_nothing(
    tmp_path: Path, moment: Callable[[Running, Path], None], number: signal.Signals
) -> None:
    # A runner of tests may have been started with signals ignored, which a child would inherit.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with demo(tmp_path) as running_demo:
        moment(running_demo, tmp_path)
        code = running_demo.stop(number)
        shown = running_demo.rest()
    assert code == 128 + number, shown
    assert "Traceback" not in shown
    nothing_is_left(tmp_path)


def test_an_impatient_second_signal_does_not_break_the_clean_up(tmp_path: Path) -> None:
    with demo(tmp_path) as running_demo:
        running_demo.wait_for("Stack started")
        for _ in range(3):
            running_demo.process.send_signal(signal.SIGINT)
        assert running_demo.process.wait(30) == 128 + signal.SIGINT
    nothing_is_left(tmp_path)


def test_a_service_that_dies_ends_the_demo_and_is_named(tmp_path: Path) -> None:
    with demo(tmp_path) as running_demo:
        running_demo.wait_for("Stack started")
        found = processes_that_mention(str(tmp_path), running_demo.process.pid)
        (solver,) = [number for number, command in found.items() if "placement_solver" in command]
        os.kill(solver, signal.SIGKILL)
        assert running_demo.process.wait(30) == 1
        shown = running_demo.rest()
    assert "placement-solver ended by itself (-9)" in shown
    nothing_is_left(tmp_path)


def _until(holds: Callable[[], bool], running_demo: Running) -> None:
    give_up_at = monotonic() + 30
    while not holds():
        assert running_demo.process.poll() is None
        assert monotonic() < give_up_at
        sleep(0.002)
