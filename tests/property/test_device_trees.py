"""Whatever the files of a device hold, its readings are within the bounds of the wire, or absent with the reason."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.inventory import Capabilities
from fleetfold_contracts.samples import DeviceHealth, Sample
from fleetfold_devices.kernel.source import KernelSource
from fleetfold_devices.meter import HEALTH_READINGS, READINGS
from fleetfold_devices.vendors.intel import IntelSource
from fleetfold_devices.vendors.qualcomm import KgslSource, MsmSource
from tests.support import kernel_tree
from tests.support.kernel_tree import Clock, Tree, i915_client, msm_client, xe_client

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUNDS = 3

A_CLIENT = b"drm-client-id: 1\ndrm-driver: xe\ndrm-pdev: 0000:03:00.0\ndrm-cycles-rcs: 9\ndrm-total-cycles-rcs: 1"
ODD = [b"", b"0", b"-1", b"nan", b"inf", b"1e400", b"9" * 400, b"N/A", b"0 0", b"5 0", b"-3 7", b"\0", b"\xff\xfe"]
GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.integers(-(2**70), 2**70).map(lambda number: str(number).encode()),
    st.sampled_from([*ODD, A_CLIENT]),
)


def intel(tree: Tree) -> None:
    kernel_tree.xe_card(tree)
    kernel_tree.i915_card(tree)
    kernel_tree.integrated_card(tree)
    tree.program(5, "a", xe_client(1, cycles=1, all_cycles=2), i915_client(2, busy_ns=1))


def msm(tree: Tree) -> None:
    kernel_tree.msm_gpu(tree)
    tree.program(5, "a", msm_client(1, busy_ns=1))


@dataclass(frozen=True)
class Machine:
    """A tree with a GPU that is well, and what reads it."""

    tree: Tree
    source: type[KernelSource]
    files: dict[str, bytes]


@pytest.fixture(
    scope="module", params=[(intel, IntelSource), (msm, MsmSource), (kernel_tree.kgsl_gpu, KgslSource)], ids=str
)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Made once: examples write over its files, and then put them right."""
    make, source = request.param
    tree = Tree(tmp_path_factory.mktemp("root"))
    make(tree)
    found = (path for path in tree.root.rglob("*") if path.is_file() and path.resolve() == path)
    return Machine(tree, source, {str(path.relative_to(tree.root)): path.read_bytes() for path in found})


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_whatever_the_files_hold_readings_are_in_bounds(machine: Machine, data: st.DataObject) -> None:
    tree, clock = machine.tree, Clock()
    spoiling = st.dictionaries(st.sampled_from(sorted(machine.files)), st.one_of(GARBAGE, st.none()), max_size=10)
    source = machine.source("desk", root=tree.root, clock_ns=clock)
    spoiled: set[str] = set()
    try:
        for _ in range(ROUNDS):
            change = data.draw(spoiling)
            spoiled.update(change)
            spoil(tree, change)
            clock.advance(data.draw(st.floats(0, 100)))
            check(source)
    finally:
        tree.write({path: machine.files[path] for path in spoiled})


def spoil(tree: Tree, change: dict[str, bytes | None]) -> None:
    tree.write({path: content for path, content in change.items() if content is not None})
    for path in (path for path, content in change.items() if content is None):
        (tree.root / path).unlink(missing_ok=True)


def check(source: KernelSource) -> None:
    devices = source.discover().devices
    assert codec.decode(codec.encode(devices), tuple[Capabilities, ...]) == devices
    samples = source.sample(NOW)
    assert codec.decode(codec.encode(samples), tuple[Sample, ...]) == samples
    for sample in samples:
        assert set(sample.absent) == {name for name in READINGS if getattr(sample, name) is None}
    health = source.health(NOW)
    assert codec.decode(codec.encode(health), tuple[DeviceHealth, ...]) == health
    for told in health:
        assert set(told.absent) == {name for name in HEALTH_READINGS if getattr(told, name) is None}
