"""Fleets by name: nodes of the trace, and TOML files, whose errors name the field and what to write."""

from pathlib import Path

import pytest

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Capabilities, DeviceType, Link, LinkKind, Node, Vendor
from fleetfold_devices.catalogue import GIB, MODELS
from fleetfold_devices.simulation.fleet_file import FleetError, load_fleet

EXAMPLE = Path(__file__).parents[2] / "docs" / "fleet.example.toml"
NODE = '[[nodes]]\nname = "n"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("count", [1, 8, 64])
def test_a_part_of_the_trace(count: int) -> None:
    nodes = load_fleet(f"openb:{count}")
    assert len({node.node.node_id for node in nodes}) == count
    models = {device.model for node in nodes for device in node.discover().devices}
    assert count < 8 or models == set(MODELS)


def test_every_two_devices_of_a_trace_node_are_linked() -> None:
    largest = max(load_fleet("openb:8"), key=lambda node: len(node.discover().devices))
    ids = [device.device_id for device in largest.discover().devices]
    assert len(ids) == 8
    assert {frozenset(link.ends) for link in largest.links()} == {frozenset({a, b}) for a in ids for b in ids if a != b}


def test_the_seed_changes_readings_and_no_facts() -> None:
    first, second = load_fleet("openb:8", seed=1), load_fleet("openb:8", seed=2)
    assert [node.discover() for node in first] == [node.discover() for node in second]
    assert [node.node.node_id for node in first] == [node.node.node_id for node in second]
    assert {node.node.boot_id for node in first}.isdisjoint(node.node.boot_id for node in second)


@pytest.mark.parametrize("spec", ["openb:", "openb:0", "openb:-3", "openb:many", "openb:1214", "openb:1.5"])
def test_a_part_that_the_trace_does_not_have(spec: str) -> None:
    with pytest.raises(FleetError, match=r"openb:1 to openb:1213.*TOML"):
        load_fleet(spec)


def test_the_documented_example() -> None:
    nodes = {node.node.node_id: node for node in load_fleet(str(EXAMPLE))}
    assert list(nodes) == ["rack-a-0", "rack-a-1", "rack-b", "desk"]
    desk = nodes["desk"].discover()
    assert [device.model for device in desk.devices] == ["A10", "Arc B580", "Arc B580"]
    arc = desk.devices[1]
    assert (arc.device_id, arc.vendor, arc.device_type) == ("desk-gpu1", Vendor.INTEL, DeviceType.INTEL_XE)
    assert arc.max_memory_bytes == 12 * GIB
    rack = nodes["rack-a-0"]
    assert rack.node.labels == {"rack": "a", "simulated": "file"}
    assert (rack.node.cpu_milli, rack.node.memory_bytes) == (96_000, 384 * GIB)
    assert [link.kind for link in rack.links()] == [LinkKind.NVLINK] * 6 + [LinkKind.RDMA]
    assert rack.links()[-1].ends == ("rack-a-0", "rack-a-1")


def test_a_file_may_override_what_is_known_of_a_model(tmp_path: Path) -> None:
    text = NODE + '[[nodes.devices]]\nmodel = "A10"\nmemory_gib = 20.5\n'
    [device] = load_fleet(written(tmp_path, text))[0].discover().devices
    assert (device.device_name, device.max_memory_bytes) == ("NVIDIA A10", int(20.5 * GIB))


def test_a_node_may_have_no_devices(tmp_path: Path) -> None:
    [node] = load_fleet(written(tmp_path, NODE))
    assert node.discover().devices == ()


@pytest.mark.parametrize(
    ("text", "where", "advice"),
    [
        ("", "nodes", "missing"),
        ("nodes = []", "nodes", "length >= 1"),
        ("[[node]]\n", "node", "there are nodes, links"),
        ("[[nodes]]\n", "nodes[0].name", "missing"),
        (NODE + "gpus = 3\n", "nodes[0].gpus", "there are name, count, cpu_cores"),
        (NODE + "count = 0\n", "nodes[0].count", ">= 1"),
        (NODE + 'count = "two"\n', "nodes[0].count", "int"),
        (NODE + "cpu_cores = -1\n", "nodes[0].cpu_cores", "> 0"),
        (NODE + "memory_gib = nan\n", "nodes[0].memory_gib", ">= 0.001"),
        (NODE + "memory_gib = 1e12\n", "nodes[0].memory_gib", "<= 1000000"),
        ('[[nodes]]\nname = "a.b"\n', "nodes[0].name", "letters, digits"),
        ('[[nodes]]\nname = ""\n', "nodes[0].name", "letters, digits"),
        (f'[[nodes]]\nname = "{"n" * 101}"\n', "nodes[0].name", "at most 100"),
        (NODE + NODE, "nodes[0].name", "two nodes would be called 'n'"),
        (NODE.replace('"n"', '"n-1"') + NODE + "count = 2\n", "nodes[0].name", "'n-1'"),
        (NODE + "count = 60000\n" + NODE.replace('"n"', '"m"') + "count = 60000\n", "nodes", "at most 100000"),
        (NODE + "[[nodes.devices]]\n", "nodes[0].devices[0].model", "missing"),
        (NODE + '[[nodes.devices]]\nmodel = "X1"\n', "nodes[0].devices[0].vendor", "A10"),
        (
            NODE + '[[nodes.devices]]\nmodel = "X1"\nvendor = "amd"\ndevice_type = "rocm"\n',
            "nodes[0].devices[0].memory_gib",
            "missing",
        ),
        (NODE + '[[nodes.devices]]\nmodel = "A10"\nvendor = "acme"\n', "nodes[0].devices[0].vendor", "'acme'"),
        (NODE + '[[nodes.devices]]\nmodel = "A10"\ncount = 65\n', "nodes[0].devices", "at most 64"),
        (NODE + '[[nodes.devices]]\nmodel = "A10"\nmemory = 24\n', "nodes[0].devices[0].memory", "memory_gib"),
        (NODE + 'device_links = { kind = "wire" }\n', "nodes[0].device_links.kind", "'wire'"),
        (NODE + "device_links = { speed = 1 }\n", "nodes[0].device_links", "kind"),
        (NODE + '[[links]]\nends = ["n", "m"]\nkind = "rdma"\n', "links[0].ends", "no node 'm'"),
        (NODE + '[[links]]\nends = ["n", "n"]\nkind = "rdma"\n', "links[0].ends", "name two"),
        ("nodes = [", "the file", "not TOML"),
    ],
)
def test_an_error_names_the_field_and_the_fix(tmp_path: Path, text: str, where: str, advice: str) -> None:
    spec = written(tmp_path, text)
    with pytest.raises(FleetError) as caught:
        load_fleet(spec)
    assert caught.value.where.startswith(f"{spec}: {where}")
    assert advice in caught.value.problem


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FleetError, match=r"no-such-fleet: the file: .*openb:<count>"):
        load_fleet("no-such-fleet")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FleetError, match="not TOML"):
        load_fleet(str(path))


@pytest.mark.parametrize("spec", ["openb:64", str(EXAMPLE)])
def test_every_fact_fits_the_wire(spec: str) -> None:
    for node in load_fleet(spec):
        inventory = node.discover()
        assert codec.decode(codec.encode(node.node), Node) == node.node
        assert codec.decode(codec.encode(inventory.devices), tuple[Capabilities, ...]) == inventory.devices
        assert codec.decode(codec.encode(node.links()), tuple[Link, ...]) == node.links()


def test_the_longest_names_fit_the_wire(tmp_path: Path) -> None:
    text = f'[[nodes]]\nname = "{"n" * 100}"\ncount = 2\n[[nodes.devices]]\nmodel = "T4"\ncount = 64\n'
    for node in load_fleet(written(tmp_path, text)):
        assert codec.decode(codec.encode(node.discover().devices), tuple[Capabilities, ...])
