"""What was is still there: the state of any point, a fold that comes to the same, a log in a file and back."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects
from fleetfold_core.facts import digests
from fleetfold_runtime.log_file import LogFileError, check_log, read_log
from fleetfold_runtime.past import Past, PastError
from tests.support.cluster import Cluster, cluster_on
from tests.support.examples import GIB
from tests.support.fleetfold_command import Ended, fleetfold, running
from tests.support.story import two_devices
from tests.support.waiting import eventually

DONE, FAILED, REJECTED = 0, 1, 2


@pytest.fixture
async def told(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A log of ten events under the root `fleet`, one of them no event at all."""
    async with cluster_on(nats_server.url, Subjects(DEFAULT_ROOT), tmp_path) as cluster:
        await cluster.add_devices(6)
        await cluster.append(evt.DeviceCordoned(pool="default", device_id="gpu-001", reason="hot"), "cordoned")
        await cluster.bus.append("fleet.evt.work.completed", b"no event\n", message_id="junk")
        yield cluster


async def test_a_state_is_folded_to_any_point_and_from_the_nearest_that_is_kept(told: Cluster) -> None:
    past = Past(told.bus, told.subjects)
    whole = await past.at(10)
    assert (len(whole.devices), whole.parked_count) == (6, 1)
    earlier = await past.at(4)
    assert (earlier.position, sorted(earlier.devices)) == (4, ["gpu-000", "gpu-001", "gpu-002"])
    assert (await past.at(10)).encode() == whole.encode()
    assert (await Past(told.bus, told.subjects).at(7)).encode() == (await past.at(7)).encode()
    assert whole.nodes["node-001"].last_seen is not None
    when = whole.nodes["node-001"].last_seen
    assert "node-001" in (await past.at(when)).nodes
    for nowhere in (0, 11):
        with pytest.raises(PastError, match="the log has 1 to 10"):
            await past.at(nowhere)


async def test_a_log_goes_to_a_file_and_comes_back_under_the_same_sequences(told: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl.gz"
    exported = await typed("export", str(file), url=told.url)
    assert exported.code == DONE, exported.stderr
    assert "10 events" in exported.stdout
    assert [record.payload for record in read_log(file)][-1] == b"no event\n"
    data = tmp_path / "data"
    with running("up", "--from", str(file), "--data", str(data), "--port", "0", "--http-port", "0") as stack:
        url = stack.wait_for("NATS listens at").split()[3].rstrip(".")
        stack.wait_for("Ctrl-C stops")
        assert (await typed("replay", url=url)).code == DONE
        then = await typed("state", "--at", "9", "--json", url=url)
        answer = codec.decode(then.stdout.encode(), StateAnswer)
        assert (answer.position, answer.summary.device_count) == (9, 6)
        stack.stop()
    with running("up", "--from", str(file), "--data", str(data), "--port", "0") as again:
        assert "holds a log already" in again.rest()


async def typed(*arguments: str, url: str) -> Ended:
    return await asyncio.to_thread(fleetfold, *arguments, FLEETFOLD_NATS_URL=url)


async def test_a_projector_holds_what_a_fold_of_the_whole_log_comes_to(told: Cluster) -> None:
    told.start("state-projector")
    await eventually(lambda: answers(told), within_s=20, what="the projector")
    assert (await typed("replay", url=told.url)).code == DONE


async def answers(cluster: Cluster) -> bool:
    answer = await cluster.ask("state", StateAnswer)
    return answer is not None and answer.position == 10


def test_a_difference_is_shown_part_by_part() -> None:
    story = two_devices()
    before = digests(story.state)
    story.sample("d1", used_bytes=GIB, busy_percent=50)
    assert digests(story.state) == before
    after = digests(story.tell(evt.DeviceCordoned(pool="default", device_id="d1")).state)
    assert {part for part in after if after[part] != before[part]} == {"devices", "pool_positions"}


def line(sequence: int, subject: str = "fleet.evt.command.rejected", body: str = '"payload":{"a":1}') -> str:
    return f'{{"sequence":{sequence},"time":"2026-01-01T00:00:00Z","subject":"{subject}",{body}}}'


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((line(1), line(3)), "line 2: has sequence 3, where 2 is next"),
        ((line(1), line(2)[:40]), "line 2: Input data was truncated"),
        ((line(1, "other.evt.a"),), "line 1: is of the root 'other'"),
        ((line(1, body='"body":1'),), "line 1: has neither"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(tmp_path: Path, lines: tuple[str, ...], reason: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(LogFileError, match=f"log.jsonl, {reason}"):
        check_log(file, Subjects(DEFAULT_ROOT))
    up = fleetfold("up", "--from", str(file), "--data", str(tmp_path / "data"), "--port", "0")
    assert (up.code, reason in up.stderr) == (FAILED, True)
    assert not (tmp_path / "data" / "nats").exists()


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl.gz"
    file.write_bytes(gzip.compress(line(1).encode())[:-12])
    with pytest.raises(LogFileError, match=r"log\.jsonl\.gz, behind line"):
        check_log(file, Subjects(DEFAULT_ROOT))
