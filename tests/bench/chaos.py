"""Whether work is done, and counted once, while workers, distributors and the server are killed in the midst of it."""

from pathlib import Path

from fleetfold_cli.nats_server import NatsServer
from fleetfold_cli.stack.tether import tethered
from fleetfold_contracts.subjects import Subjects
from tests.bench.measure import Effort, Report, Series
from tests.support.chaos import Storm, survive
from tests.support.cluster import cluster_on

SEED = 20261
ITEMS_A_BATCH = 500

GIVEN = "given"


async def measure(folder: Path, effort: Effort) -> Report:
    """One storm. It fails where an item is lost, or counts twice."""
    storm = Storm(items=effort.storm_items, kills=effort.kills, seed=SEED, batch_size=ITEMS_A_BATCH)
    with NatsServer(folder / "nats", launcher=tethered([])) as server:
        async with cluster_on(server.url, Subjects("storm"), folder) as cluster:
            survived = await survive(cluster, server, storm)
    survived.check(storm.items)
    killed = ", ".join(f"{count} of {name}" for name, count in sorted(survived.killed.items()))
    figures = {
        GIVEN: storm.items,
        "done, by the workers' journals": len(survived.worked),
        "counted as done, by the log": survived.accounts.counted.total(),
        "worked on, by the workers' journals": survived.worked.total(),
    }
    series = tuple(
        Series(name=name, values=(float(value),), against=None if name == GIVEN else GIVEN)
        for name, value in figures.items()
    )
    return Report(title=f"Work in a storm of {survived.seconds:.0f} s, killed: {killed}", unit="items", series=series)
