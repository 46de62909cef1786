"""`fleetfold up`: one stack a folder, what it holds outlives it, what dies is started again, nothing is left behind."""

import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.fleetfold_command import (
    LISTENS,
    Running,
    fleetfold,
    processes_that_mention,
    running,
    wait_until_none_mention,
)

FLEET = '[[nodes]]\nname = "only"\ndevices = [{ model = "A10", count = 2 }]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fleet.toml").write_text(FLEET)
    return tmp_path / "data"


@contextmanager
def stack(folder: Path) -> Generator[tuple[Running, str], None, None]:
    """A stack that answers, and where it listens."""
    fleet = str(folder.parent / "fleet.toml")
    with running("up", "--fleet", fleet, "--data", str(folder), "--port", "0") as up:
        listens = LISTENS.search(up.wait_for("NATS listens at"))
        up.wait_for("Ctrl-C stops")
        assert listens is not None
        yield up, listens[1]


def place(server: str, workload_id: str) -> None:
    ended = fleetfold("place", "--id", workload_id, "--shard-memory", "1GiB", FLEETFOLD_NATS_URL=server)
    assert ended.code == 0, ended.stderr


def placed(server: str) -> list[str]:
    document = json.loads(fleetfold("placements", "--json", FLEETFOLD_NATS_URL=server).stdout)
    return [placement["workload_id"] for placement in document["placements"]]


def test_what_is_placed_outlives_the_stack(folder: Path) -> None:
    with stack(folder) as (up, server):
        place(server, "first")
        assert up.stop(signal.SIGINT) == 0
        assert f"Stopped. The data stays in {folder}" in up.rest()
    wait_until_none_mention(str(folder))

    with stack(folder) as (up, server):
        place(server, "second")
        up.stop(signal.SIGKILL)
    wait_until_none_mention(str(folder))  # its children go with it, though it could not stop them

    with stack(folder) as (up, server):
        assert placed(server) == ["first", "second"]
        assert up.stop(signal.SIGTERM) == 0


def test_a_folder_and_a_port_are_one_stacks_at_a_time(folder: Path) -> None:
    with stack(folder) as (up, server):
        same_folder = fleetfold("up", "--data", str(folder), "--port", "0")
        same_port = fleetfold("up", "--data", f"{folder}-2", "--port", server.rpartition(":")[2])
        assert up.stop() == 0
    assert (same_folder.code, same_port.code) == (1, 1)
    assert f"in use by process {up.process.pid}" in same_folder.stderr
    assert "address already in use" in same_port.stderr
    wait_until_none_mention(str(folder))


def test_what_dies_is_said_and_started_again(folder: Path) -> None:
    with stack(folder) as (up, server):
        for module, name in (("fleetfold_placement_solver", "placement-solver"), ("nats-server", "nats-server")):
            (process_id,) = [
                number
                for number, command in processes_that_mention(str(folder), up.process.pid).items()
                if module in command
            ]
            os.kill(process_id, signal.SIGKILL)
            assert str(folder) in up.wait_for(f"{name} ended by itself (-9)")
        placing = ("place", "--id", "w", "--shard-memory", "1GiB", "--command-id", "once")
        while fleetfold(*placing, FLEETFOLD_NATS_URL=server).code != 0:
            assert up.process.poll() is None
        assert placed(server) == ["w"]
        assert up.stop() == 0


@pytest.mark.parametrize(
    ("fleet", "said"),
    [("openb:0", "openb:1"), ("/no/such.toml", "/no/such.toml: the file"), ("openb:99999", "openb:1213")],
)
def test_a_fleet_that_is_described_wrongly_starts_nothing(folder: Path, fleet: str, said: str) -> None:
    ended = fleetfold("up", "--fleet", fleet, "--data", str(folder), "--port", "0")
    assert ended.code == 2
    assert said in ended.stderr
    assert not folder.exists()
