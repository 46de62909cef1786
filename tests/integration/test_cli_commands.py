"""The commands of `fleetfold` against the stack that `fleetfold up` runs: what they print, and how they end."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fleetfold_command import LISTENS, fleetfold, running

DONE, FAILED, REJECTED, NO_ANSWER, REFUSED = 0, 1, 2, 3, 4

FLEET = """
[[nodes]]
name = "big"
devices = [{ model = "A10", count = 4 }]

[[nodes]]
name = "small"
devices = [{ model = "T4" }]
"""
DEVICES = ["big-gpu0", "big-gpu1", "big-gpu2", "big-gpu3", "small-gpu0"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a stack with five simulated devices listens."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "fleet.toml").write_text(FLEET)
    with running("up", "--fleet", str(folder / "fleet.toml"), "--data", str(folder / "data"), "--port", "0") as stack:
        listens = LISTENS.search(stack.wait_for("NATS listens at"))
        stack.wait_for("Ctrl-C stops")
        assert listens is not None
        yield listens[1]
        stack.stop()


def asked(server: str, *arguments: str, stdin: str = "", code: int = DONE) -> dict[str, Any]:
    """What a command answers as JSON."""
    ended = fleetfold(*arguments, "--json", FLEETFOLD_NATS_URL=server, stdin=stdin)
    assert ended.code == code, ended.stderr
    (line,) = ended.stdout.splitlines()
    return json.loads(line)


def test_devices_are_shown_to_people_and_programs(server: str) -> None:
    document = asked(server, "devices")
    assert [device["capabilities"]["device_id"] for device in document["devices"]] == DEVICES

    shown = fleetfold("devices", "--node", "small", FLEETFOLD_NATS_URL=server).stdout
    assert "small-gpu0" in shown
    assert "big-gpu0" not in shown


def test_devices_are_narrowed_down_and_ranked(server: str) -> None:
    ranked = asked(server, "devices", "--sort", "score", "--limit", "2", "--status", "live")["devices"]
    assert len(ranked) == 2
    assert ranked[0]["score"] >= ranked[1]["score"]
    assert asked(server, "devices", "--label", "rack=nowhere").get("devices", []) == []
    assert asked(server, "devices", "--min-free", "1TiB").get("devices", []) == []


def test_the_cluster_is_shown_in_figures(server: str) -> None:
    answer = asked(server, "aggregate")
    assert answer["cluster"]["device_count"] == len(DEVICES)
    assert answer["by_vendor"]["nvidia"] == answer["cluster"]
    assert [node["node_id"] for node in asked(server, "topology")["nodes"]] == ["big", "small"]
    shown = fleetfold("aggregate", FLEETFOLD_NATS_URL=server).stdout
    assert "heterogeneity" in shown


def test_what_a_device_read_is_told_at_each_resolution(server: str) -> None:
    full = asked(server, "history", "big-gpu0", "--by", "full")
    assert full["readings"]["compute_utilization_percent"]["mean"]
    assert sum(full["sample_counts"]) == len(full["times"])
    by_minute = asked(server, "history", "big-gpu0", "--last", "10m", "--by", "minute")
    assert sum(by_minute["sample_counts"]) >= len(full["times"])
    assert by_minute["readings"]["memory_used_bytes"]["mean"][0] is None
    assert "$.device_id" in fleetfold("history", "nobody", FLEETFOLD_NATS_URL=server).stderr
    assert "n/a" in fleetfold("history", "big-gpu0", "--last", "2d", FLEETFOLD_NATS_URL=server).stdout


def test_a_node_moves_to_another_pool_and_back(server: str) -> None:
    outcome = asked(server, "transfer", "small", "--to", "lab")
    assert outcome["type"] == "fleet.node.transferred.v1"
    placed = asked(server, "place", "--id", "in-lab", "--shard-memory", "1GiB", "--pool", "lab")
    assert [one["device_id"] for one in placed["data"]["allocations"]] == ["small-gpu0"]
    held = fleetfold("transfer", "small", "--to", "default", "--pool", "lab", FLEETFOLD_NATS_URL=server)
    assert (held.code, "$.node_ids[0]: node 'small' holds in-lab" in held.stderr) == (REJECTED, True)
    asked(server, "release", "in-lab", "--pool", "lab")
    pools = {pool["pool"]: pool["node_count"] for pool in asked(server, "pools")["pools"]}
    assert pools == {"default": 1, "lab": 1}
    assert [device["node_id"] for device in asked(server, "devices", "--pool", "lab")["devices"]] == ["small"]
    asked(server, "transfer", "small", "--to", "default", "--pool", "lab")
    assert [pool["pool"] for pool in asked(server, "pools")["pools"]] == ["default"]


def test_a_workload_is_placed_explained_and_released(server: str) -> None:
    outcome = asked(server, "place", "--id", "llama", "--shards", "3", "--shard-memory", "8GiB", "--node", "big")
    assert outcome["type"] == "fleet.placement.decided.v1"

    assert "llama" in fleetfold("placements", FLEETFOLD_NATS_URL=server).stdout
    assert [p["workload_id"] for p in asked(server, "placements")["placements"]] == ["llama"]
    assert asked(server, "why", "llama")["status"] == "placed"
    assert asked(server, "release", "llama")["type"] == "fleet.placement.released.v1"
    assert asked(server, "placements")["placements"] == []


@pytest.mark.parametrize("template", ["WORKLOAD", '{"workload": WORKLOAD}'])
def test_a_workload_comes_from_a_file_or_standard_input(server: str, tmp_path: Path, template: str) -> None:
    document = template.replace("WORKLOAD", '{"workload_id": "from-file", "shards": [{"memory_bytes": 1024}]}')
    (tmp_path / "workload.json").write_text(document)

    for arguments, stdin in ((("place", str(tmp_path / "workload.json")), ""), (("place", "-"), document)):
        outcome = asked(server, *arguments, stdin=stdin)
        assert outcome["data"]["workload"]["workload_id"] == "from-file"
        asked(server, "release", "from-file")


def test_what_does_not_fit_is_refused_with_the_reason_and_a_code_of_its_own(server: str) -> None:
    ended = fleetfold("place", "--id", "giant", "--shard-memory", "1TiB", FLEETFOLD_NATS_URL=server)
    assert ended.code == REFUSED
    assert "refused: giant" in ended.stdout
    assert "no_memory" in ended.stdout

    document = asked(server, "why", "giant")
    assert document["status"] == "refused"
    verdicts = {verdict["device_id"]: verdict["reason"] for verdict in document["verdicts"]}
    assert verdicts == dict.fromkeys(DEVICES, "no_memory")
    assert "needs 1.0 TiB" in fleetfold("why", "giant", FLEETFOLD_NATS_URL=server).stdout


def test_a_cordoned_device_takes_nothing_new(server: str) -> None:
    placing = ("place", "--id", "w", "--shard-memory", "1GiB", "--device", "small-gpu0")
    assert asked(server, "cordon", "small-gpu0", "--reason", "too hot")["type"] == "fleet.device.cordoned.v1"
    asked(server, *placing, code=REFUSED)
    assert "too hot" in fleetfold("devices", FLEETFOLD_NATS_URL=server).stdout

    asked(server, "uncordon", "small-gpu0")
    assert asked(server, "cordon", "--node", "small")["type"] == "fleet.node.cordoned.v1"
    asked(server, *placing, code=REFUSED)
    asked(server, "uncordon", "--node", "small")
    asked(server, *placing)
    asked(server, "release", "w")


def test_items_are_spread_and_none_is_lost(server: str, tmp_path: Path) -> None:
    outcome = asked(server, "distribute", "--count", "100", "--device", "big-gpu0", "--device", "big-gpu1")
    runs = [run for part in outcome["data"]["assignments"] for run in part["runs"]]
    assert sorted(index for first, count in runs for index in range(first, first + count)) == list(range(100))

    (tmp_path / "items.jsonl").write_text('"a"\n{"b": 1}\n\n3\n')
    outcome = asked(server, "distribute", "--items", str(tmp_path / "items.jsonl"), "--batch-size", "1")
    assert outcome["data"]["item_count"] == 3
    outcome = asked(server, "distribute", "--items", "-", stdin='["a", "b"]')
    assert outcome["data"]["item_count"] == 2


def test_items_that_find_no_device_are_named_and_the_code_says_so(server: str) -> None:
    ended = fleetfold("distribute", "--count", "10", "--max-per-device", "1", FLEETFOLD_NATS_URL=server)
    assert ended.code == REFUSED
    assert "5 items not assigned" in ended.stdout


def test_events_are_told_as_they_happen(server: str) -> None:
    environment = {"FLEETFOLD_NATS_URL": server}
    with (
        running("watch", environment=environment) as told,
        running("watch", "--json", environment=environment) as written,
    ):
        told.wait_for("Ctrl-C ends")
        written.wait_for("Ctrl-C ends")
        asked(server, "place", "--id", "seen", "--shard-memory", "1GiB")
        asked(server, "release", "seen")

        assert "seen: 1 shard on" in told.wait_for("placement.decided")
        told.wait_for("placement.released")
        envelope = json.loads(written.wait_for("fleet.placement.decided.v1"))
        assert envelope["data"]["workload"]["workload_id"] == "seen"
        assert json.loads(written.wait_for("fleet.placement.released.v1"))["sequence"] == envelope["sequence"] + 1
        assert told.stop() == DONE


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("place", "--shards", "0"), "", "--shards"),
        (("place", "--shard-memory", "8 gigs"), "", "write it as 8GiB"),
        (("place", "--gpu-milli", "2000"), "", "$.workload.shards[0].gpu_milli"),
        (("place",), "", "nothing to place"),
        (("place", "-", "--shards", "2"), "{}", "not both"),
        (("place", "-"), "no json", "standard input is no JSON"),
        (("place", "-"), '{"workload_id": "w", "shards": [{"memory": 1}]}', "$.workload.shards[0].memory"),
        (("place", "/no/such/file"), "", "cannot be read"),
        (("release", "nobody"), "", "nobody"),
        (("why", "nobody"), "", "nobody"),
        (("cordon", "no-such-device"), "", "no-such-device"),
        (("uncordon",), "", "give a DEVICE or --node"),
        (("distribute",), "", "nothing to distribute"),
        (("devices", "--vendor", "acme"), "", "acme"),
        (("nonsense",), "", "nonsense"),
    ],
)
def test_what_makes_no_sense_is_rejected_and_the_place_is_named(
    server: str, arguments: tuple[str, ...], stdin: str, said: str
) -> None:
    ended = fleetfold(*arguments, FLEETFOLD_NATS_URL=server, stdin=stdin)
    assert ended.code == REJECTED, ended.stdout
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("arguments", "environment"), [(("--root", "other"), {}), ((), {"FLEETFOLD_ROOT": "other"})])
def test_another_root_is_another_cluster(server: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    ended = fleetfold("devices", *arguments, FLEETFOLD_NATS_URL=server, **environment)
    assert ended.code == NO_ANSWER
    assert "are the services running?" in ended.stderr


@pytest.mark.parametrize("command", [("devices",), ("placements",), ("watch",), ("release", "w")])
def test_where_no_server_is_one_line_says_so(command: tuple[str, ...]) -> None:
    ended = fleetfold(*command, "--server", "nats://127.0.0.1:1", FLEETFOLD_NATS_URL="nats://127.0.0.1:2")
    assert ended.code == NO_ANSWER
    (line,) = ended.stderr.splitlines()
    assert "127.0.0.1:1" in line
    assert "fleetfold up" in line
    assert ended.stdout == ""


def test_the_version_waits_for_no_import_that_it_does_not_need() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fleetfold_cli", "version", "--json"], capture_output=True, text=True
    )
    assert "version" in json.loads(ended.stdout)
    imported = set(re.findall(r"\|\s+(\S+)$", ended.stderr, re.MULTILINE))
    assert "fleetfold_cli.options" in imported
    assert imported.isdisjoint({"nats", "msgspec", "asyncio", "rich.console", "pydantic"})


def test_help_names_every_command() -> None:
    shown = fleetfold("--help").stdout
    for name in ("up", "demo", "devices", "place", "release", "placements", "why", "distribute", "watch", "version"):
        assert f"  {name} " in shown
