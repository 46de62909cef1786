"""The history on a real server: a projector that is killed has counted every sample once when it is back."""

from contextlib import aclosing
from pathlib import Path

from fleetfold_bus.streams import SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.history import HistoryAnswer, HistoryQuery, Resolution
from tests.support.cluster import Cluster
from tests.support.waiting import eventually

DEVICE = "box-gpu0"
FLEET = '[[nodes]]\nname = "box"\ndevices = [{ model = "A10" }]\n'


async def test_a_projector_that_was_killed_has_counted_every_sample_once(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)
    projector = cluster.start("state-projector", data=str(tmp_path / "data"))
    agent = cluster.start(
        "telemetry-agent", fleet=str(tmp_path / "fleet.toml"), sample_interval_s="0.2", key_frame_interval_s="0.4"
    )
    await eventually(lambda: counted(cluster, at_least=3), within_s=30, what="three samples")
    projector.kill()
    cluster.start("state-projector", data=str(tmp_path / "data"))
    await eventually(lambda: counted(cluster, at_least=6), within_s=30, what="three more")
    agent.terminate()
    sampled = await samples_in_the_stream(cluster)
    await eventually(lambda: counted(cluster, at_least=sampled), within_s=30, what="all of them")
    for resolution in Resolution:
        answer = await told(cluster, resolution)
        assert answer is not None
        assert sum(answer.sample_counts) == sampled


async def counted(cluster: Cluster, *, at_least: int) -> bool:
    answer = await told(cluster, Resolution.HOUR)
    return answer is not None and sum(answer.sample_counts) >= at_least


async def told(cluster: Cluster, resolution: Resolution) -> HistoryAnswer | None:
    query = HistoryQuery(device_id=DEVICE, resolution=resolution)
    try:
        return await cluster.ask("history", HistoryAnswer, codec.encode(query))
    except codec.ContractError:
        return None  # The device is not known yet.


async def samples_in_the_stream(cluster: Cluster) -> int:
    count = 0
    async with aclosing(cluster.bus.read(cluster.subjects.stream(SAMPLES))) as pages:
        async for records in pages:
            count += sum(len(codec.decode_samples(record.payload).samples) for record in records)
            if not records:
                break
    return count
