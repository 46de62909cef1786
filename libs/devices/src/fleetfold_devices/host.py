"""What this machine is, beside its GPUs."""

import hashlib
import os
import re
import secrets
import socket
from pathlib import Path

from fleetfold_contracts.ids import BootId, NodeId, token
from fleetfold_contracts.inventory import Labels, Node

ROOT = Path("/")
HASH_CHARACTERS = 16


def host_node(
    *,
    node_id: NodeId | None = None,
    boot_id: BootId | None = None,
    labels: Labels | None = None,
    root: Path = ROOT,
) -> Node:
    """This machine as a node. What is given stands; the rest is looked up (`root` is where /etc and /proc hang).

    `node_id` is made of the machine's id, which survives restarts; where there is none, as in many containers, of the
    host's name. `boot_id` is made of the kernel's id of this boot; where there is none, every start counts as a boot.
    """
    hostname = socket.gethostname() or "localhost"
    return Node(
        node_id=node_id or _node_id(root, hostname),
        boot_id=boot_id or _boot_id(root),
        hostname=hostname,
        cpu_milli=(os.cpu_count() or 1) * 1000,
        memory_bytes=host_memory_bytes(),
        labels=labels or {},
    )


def host_memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def host_memory_available_bytes(root: Path = ROOT) -> int | None:
    """The memory that programs here could still have, by the Linux kernel's estimate; None where it gives none."""
    available = re.search(r"^MemAvailable:\s+(\d+) kB$", _line(root / "proc/meminfo"), re.MULTILINE)
    return int(available[1]) * 1024 if available else None


def _node_id(root: Path, hostname: str) -> NodeId:
    machine_id = _line(root / "etc/machine-id")
    # An image that has never been booted holds the word instead of an id: hosts made from it would share it.
    if machine_id in {"", "uninitialized"}:
        return token(f"node-{hostname}")
    return f"node-{_hashed('node', machine_id)}"


def _boot_id(root: Path) -> BootId:
    boot_id = _line(root / "proc/sys/kernel/random/boot_id")
    return f"boot-{_hashed('boot', boot_id) if boot_id else secrets.token_hex(HASH_CHARACTERS // 2)}"


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _hashed(purpose: str, secret: str) -> str:
    # The manual page machine-id(5) asks for this: the id itself is not to be shown on a network.
    return hashlib.blake2b(secret.encode(), key=f"fleetfold {purpose}".encode()).hexdigest()[:HASH_CHARACTERS]
