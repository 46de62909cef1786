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


@contextmanager
def stack(folder: Path) -> Generator[tuple[Running, str], None, None]:
    """A stack that answers, and where it listens."""
    fleet = folder.parent / "fleet.toml"
    fleet.write_text(FLEET)
    with running("up", "--fleet", str(fleet), "--data", str(folder), "--port", "0") as up:
        listens = LISTENS.search(up.wait_for("NATS listens at"))
        up.wait_for("Ctrl-C stops")
        assert listens is not None
        yield up, listens[1]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Running, str, Path], None, None]:
    """A stack that several tests use, and its folder."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    with stack(folder) as (up, server):
        yield up, server, folder
        assert up.stop() == 0


def place(server: str, workload_id: str) -> None:
    ended = fleetfold("place", "--id", workload_id, "--shard-memory", "1GiB", FLEETFOLD_NATS_URL=server)
    assert ended.code == 0, ended.stderr


def placed(server: str) -> list[str]:
    document = json.loads(fleetfold("placements", "--json", FLEETFOLD_NATS_URL=server).stdout)
    return [placement["workload_id"] for placement in document["placements"]]


def test_what_is_placed_outlives_the_stack(tmp_path: Path) -> None:
    folder = tmp_path / "data"
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


def test_a_folder_is_one_stacks_at_a_time(shared: tuple[Running, str, Path]) -> None:
    up, _, folder = shared
    second = fleetfold("up", "--data", str(folder), "--port", "0")
    assert second.code == 1
    assert f"in use by process {up.process.pid}" in second.stderr


def test_a_port_is_one_stacks_at_a_time(shared: tuple[Running, str, Path], tmp_path: Path) -> None:
    _, server, _ = shared
    second = fleetfold("up", "--data", str(tmp_path), "--port", server.rpartition(":")[2])
    assert second.code == 1
    assert "address already in use" in second.stderr
    wait_until_none_mention(str(tmp_path))


def test_what_dies_is_said_and_started_again(shared: tuple[Running, str, Path]) -> None:
    up, server, folder = shared
    for module, name in (("fleetfold_placement_solver", "placement-solver"), ("nats-server", "nats-server")):
        found = processes_that_mention(str(folder), up.process.pid)
        (process_id,) = [number for number, command in found.items() if module in command]
        os.kill(process_id, signal.SIGKILL)
        assert str(folder) in up.wait_for(f"{name} ended by itself (-9)")
    placing = ("place", "--id", "w", "--shard-memory", "1GiB", "--command-id", "once")
    while fleetfold(*placing, FLEETFOLD_NATS_URL=server).code != 0:
        assert up.process.poll() is None
    assert placed(server) == ["w"]


@pytest.mark.parametrize(
    ("fleet", "said"),
    [("openb:0", "openb:1"), ("/no/such.toml", "/no/such.toml: the file"), ("openb:99999", "openb:1213")],
)
def test_a_fleet_that_is_described_wrongly_starts_nothing(tmp_path: Path, fleet: str, said: str) -> None:
    folder = tmp_path / "data"
    ended = fleetfold("up", "--fleet", fleet, "--data", str(folder), "--port", "0")
    assert ended.code == 2
    assert said in ended.stderr
    assert not folder.exists()
