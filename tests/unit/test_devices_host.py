"""This machine's own facts: ids that survive what they should survive."""

from pathlib import Path

import pytest

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Node
from fleetfold_devices.host import host_node

MACHINE_ID = "0123456789abcdef0123456789abcdef"


def machine(root: Path, *, machine_id: str | None = MACHINE_ID, boot_id: str | None = "boot-one") -> Path:
    for path, text in (("etc/machine-id", machine_id), ("proc/sys/kernel/random/boot_id", boot_id)):
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(f"{text}\n")
    return root


def named(monkeypatch: pytest.MonkeyPatch, hostname: str) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: hostname)


def test_a_node_keeps_its_id_when_it_boots_anew_or_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host_node(root=machine(tmp_path / "before"))
    named(monkeypatch, "renamed")
    after = host_node(root=machine(tmp_path / "after", boot_id="boot-two"))
    assert after.node_id == before.node_id
    assert after.boot_id != before.boot_id


def test_a_boot_keeps_its_id(tmp_path: Path) -> None:
    root = machine(tmp_path)
    assert host_node(root=root) == host_node(root=root)


def test_two_machines_of_one_name_are_two_nodes(tmp_path: Path) -> None:
    here = host_node(root=machine(tmp_path / "here"))
    there = host_node(root=machine(tmp_path / "there", machine_id=MACHINE_ID[::-1]))
    assert here.hostname == there.hostname
    assert here.node_id != there.node_id


def test_the_machine_s_own_id_is_not_shown(tmp_path: Path) -> None:
    assert MACHINE_ID[:8] not in host_node(root=machine(tmp_path)).node_id


@pytest.mark.parametrize("machine_id", [None, "", "uninitialized"])
def test_without_a_machine_id_the_name_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine_id: str | None
) -> None:
    named(monkeypatch, "desk.lab.example")
    assert host_node(root=machine(tmp_path, machine_id=machine_id)).node_id == "node-desk-lab-example"


def test_without_a_boot_id_every_start_is_a_boot(tmp_path: Path) -> None:
    root = machine(tmp_path, boot_id=None)
    assert host_node(root=root).boot_id != host_node(root=root).boot_id


def test_what_is_given_stands(tmp_path: Path) -> None:
    node = host_node(node_id="desk", boot_id="b1", labels={"rack": "a"}, root=machine(tmp_path))
    assert (node.node_id, node.boot_id, node.labels) == ("desk", "b1", {"rack": "a"})


def test_the_facts_of_this_machine_fit_the_wire() -> None:
    node = host_node()
    assert codec.decode(codec.encode(node), Node) == node
    assert node.cpu_milli >= 1000
    assert node.memory_bytes > 0
