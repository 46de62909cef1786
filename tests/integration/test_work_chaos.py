"""Worker processes, distributors and the server are killed in mid-work: every item is done, and counted once."""

from fleetfold_cli.nats_server import NatsServer
from tests.support.chaos import Storm, survive
from tests.support.cluster import Cluster


async def test_what_is_killed_loses_no_item_and_counts_none_twice(
    own_cluster: Cluster, nats_server: NatsServer
) -> None:
    storm = Storm(items=4000, kills=12, seed=20261, item_s=0.002, within_s=60)
    survived = await survive(own_cluster, nats_server, storm)
    survived.check(storm.items)
    assert survived.killed.total() == storm.kills + 1
    assert {"worker", "distributor", "nats-server"} == survived.killed.keys()
