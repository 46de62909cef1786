"""Links between nodes, declared in a file: what is written is read, what is wrong is refused with its field."""

from pathlib import Path

import pytest

from fleetfold_contracts.inventory import Link, LinkKind
from fleetfold_devices.simulation.fleet_file import FleetError, load_links

WIRE = '[[links]]\nends = ["a", "b"]\nkind = "ethernet"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "links.toml"
    path.write_text(text)
    return str(path)


def test_links_are_read_as_they_are_written(tmp_path: Path) -> None:
    text = WIRE + 'bandwidth_gbps = 25\n[[links]]\nends = ["b", "c"]\nkind = "rdma"\nlatency_us = 2.5\n'
    assert load_links(written(tmp_path, text)) == (
        Link(ends=("a", "b"), kind=LinkKind.ETHERNET, bandwidth_gbps=25),
        Link(ends=("b", "c"), kind=LinkKind.RDMA, latency_us=2.5),
    )
    assert load_links(written(tmp_path, "")) == ()


@pytest.mark.parametrize(
    ("text", "where", "advice"),
    [
        ('[[links]]\nkind = "rdma"', "links[0].ends", "missing"),
        (WIRE + "latency_ms = 1", "links[0].latency_ms", "latency_us"),
        (WIRE + "bandwidth_gbps = 0", "links[0].bandwidth_gbps", "> 0"),
        (WIRE + '[[links]]\nends = ["a", "a"]\nkind = "rdma"', "links[1].ends", "name two"),
        ('[[links]]\nends = ["a", "b c"]\nkind = "rdma"', "links[0].ends", "b c"),
        ('[[nodes]]\nname = "a"', "nodes", "links"),
        ("no toml", "the file", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_field(tmp_path: Path, text: str, where: str, advice: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FleetError) as refused:
        load_links(path)
    assert refused.value.where == f"{path}: {where}"
    assert advice in refused.value.problem


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match=r"gone\.toml.*TOML"):
        load_links(str(tmp_path / "gone.toml"))
