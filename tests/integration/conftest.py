"""A cluster for each test, with subjects of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts.subjects import Subjects
from tests.support.cluster import Cluster, cluster_on
from tests.support.servers import SERVERS
from tests.support.streams import remove_streams


@pytest.fixture(params=SERVERS)
async def cluster(request: pytest.FixtureRequest, subjects: Subjects, tmp_path: Path) -> AsyncIterator[Cluster]:
    """On a server that all tests share. No service runs in it yet; its streams are there."""
    url: str = request.getfixturevalue(request.param)
    async with cluster_on(url, subjects, tmp_path) as cluster:
        yield cluster
    await remove_streams(url, subjects)


@pytest.fixture
async def own_cluster(nats_server: NatsServer, subjects: Subjects, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The same on a server of its own, which the test may kill."""
    async with cluster_on(nats_server.url, subjects, tmp_path) as cluster:
        yield cluster
