"""NATS servers for the tests that need one, and subjects that no other test uses."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.subjects import Subjects
from tests.docker.nats_container import nats_in_container
from tests.support.streams import remove_streams


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of the test's own, which it may kill."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture(scope="session")
def nats_binary_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for all tests that leave it as it is."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server.url


@pytest.fixture(scope="session")
def nats_image_url() -> Iterator[str]:
    """The same from the public image, in a container."""
    with nats_in_container() as url:
        yield url


@pytest.fixture
async def shared_nats_url(nats_binary_url: str, subjects: Subjects) -> AsyncIterator[str]:
    """A server that other tests use too. Tests keep apart by their `subjects`, whose streams go after each."""
    yield nats_binary_url
    await remove_streams(nats_binary_url, subjects)


@pytest.fixture
def subjects() -> Subjects:
    """The subjects of a cluster that only this test knows."""
    return Subjects(root=f"t{secrets.token_hex(6)}")
