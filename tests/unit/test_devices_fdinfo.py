"""What programs use of a GPU, from what the kernel tells of their open files."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts.samples import Absence
from fleetfold_devices.kernel.fdinfo import Client, Clients, Engine, Utilization, parse
from tests.support.kernel_tree import MIB, Clock, Tree, xe_client
from tests.support.readings import read_or_absence

NUMBERS = st.integers(0, 2**64 - 1)
KEYS = st.sampled_from(
    [
        "drm-driver", "drm-client-id", "drm-pdev", "drm-engine-render", "drm-engine-capacity-render",
        "drm-cycles-rcs", "drm-total-cycles-rcs", "drm-resident-vram0", "drm-memory-local0", "pos",
    ]
)  # fmt: skip
VALUES = st.one_of(NUMBERS.map(str), st.sampled_from(["xe", "5 ns", "3 KiB", "7 GiB", "-1", "1e9", "2 bananas", ""]))
LINES = st.lists(st.one_of(st.builds("{}:\t{}".format, KEYS, VALUES), st.text()))


def client(client_id: int, *, busy: int, total: int, name: str = "render") -> Client:
    engines = {name: Engine(busy, total)}
    return Client(client_id=client_id, pid=1, driver="i915", pci_address="", engines=engines, memory_bytes={})


def test_a_client_is_told_by_its_keys() -> None:
    text = (
        "pos:\t0\ndrm-driver:\txe\ndrm-client-id:\t42\ndrm-pdev:\t0000:03:00.0\ndrm-client-name: one: two\n"
        "drm-total-vram0:\t8 MiB\ndrm-resident-vram0:\t3 MiB\ndrm-total-gtt:\t512 KiB\ndrm-shared-vram0:\t1 MiB\n"
        "drm-memory-stolen:\t77\n"
        "drm-cycles-rcs:\t10\ndrm-total-cycles-rcs:\t100\ndrm-engine-capacity-rcs:\t2\ndrm-cycles-ccs:\t5\n"
        "drm-engine-video:\t9 ns\n"
    )
    assert parse(7, text, now_ns=1000) == Client(
        client_id=42,
        pid=7,
        driver="xe",
        pci_address="0000:03:00.0",
        engines={"rcs": Engine(10, 100, capacity=2), "video": Engine(9, 1000)},
        memory_bytes={"vram0": 3 * MIB, "gtt": 512 * 1024, "stolen": 77},
    )


@pytest.mark.parametrize(
    "text", ["", "pos:\t0\nflags:\t02", "drm-driver:\txe", "drm-client-id:\t1", "drm-client-id:\tx"]
)
def test_a_file_that_is_no_device_has_no_client(text: str) -> None:
    assert parse(7, text, now_ns=0) is None


@given(LINES, NUMBERS)
def test_whatever_a_file_says_is_a_client_in_bounds_or_none(lines: list[str], now_ns: int) -> None:
    found = parse(7, "\n".join(lines), now_ns)
    if found is not None:
        assert all(0 <= used < 2**64 for used in found.memory_bytes.values())
        assert all(engine.capacity > 0 and engine.busy >= 0 for engine in found.engines.values())


@given(st.lists(st.lists(st.tuples(st.integers(1, 3), NUMBERS, NUMBERS), max_size=4), max_size=8))
def test_utilization_is_a_share_whatever_the_drivers_count(rounds: list[list[tuple[int, int, int]]]) -> None:
    utilization = Utilization()
    for told in rounds:
        clients = [client(number, busy=busy, total=total) for number, busy, total in told]
        percent = read_or_absence(partial(utilization.percent, clients))
        assert percent is Absence.PENDING or 0 <= float(percent) <= 100


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=4),
    st.integers(1000, 10**6),
)
def test_utilization_is_the_sum_over_programs(worked: list[tuple[int, int]], passed: int) -> None:
    utilization = Utilization()
    before = [client(number, busy=start, total=5) for number, (start, _) in enumerate(worked)]
    now = [client(number, busy=start + more, total=5 + passed) for number, (start, more) in enumerate(worked)]
    assert read_or_absence(lambda: utilization.percent(before)) is Absence.PENDING
    expected = 100 * sum(more for _, more in worked) / passed
    assert utilization.percent(now) == pytest.approx(min(100, expected))


def test_the_busiest_kind_of_engine_counts_and_video_does_not() -> None:
    def clients(total: int) -> list[Client]:
        return [
            client(number, busy=busy * total // 100, total=total, name=name)
            for number, (name, busy) in enumerate({"render": 10, "compute": 30, "video": 100}.items())
        ]

    utilization = Utilization()
    assert read_or_absence(lambda: utilization.percent(clients(100))) is Absence.PENDING
    assert utilization.percent(clients(200)) == pytest.approx(30)


def test_cycles_that_began_anew_are_pending() -> None:
    utilization = Utilization()
    for total in (100, 50):
        counted = [client(1, busy=1, total=total)]
        assert read_or_absence(partial(utilization.percent, counted)) is Absence.PENDING
    assert utilization.percent([client(1, busy=2, total=60)]) == pytest.approx(10)


def test_a_program_that_came_and_went_leaves_nothing_behind(tmp_path: Path) -> None:
    tree, clock = Tree(tmp_path), Clock()
    clients = Clients(tree.root, clock_ns=clock)
    tree.program(5, "a", xe_client(1, cycles=0, all_cycles=1))
    tree.program(6, "b", xe_client(2, cycles=0, all_cycles=1))
    clients.refresh()
    assert [found.pid for found in clients.of("xe", "0000:03:00.0")] == [5, 6]
    tree.remove("proc/5")
    tree.remove("proc/6/fdinfo/3")
    clients.refresh()
    assert clients.of("xe", "0000:03:00.0") == ()
    assert clients.hidden == ""


@pytest.mark.parametrize("broken", ["proc/self/status", "proc/self/ns"])
def test_where_it_is_not_told_what_we_may_see_nothing_is_believed(tmp_path: Path, broken: str) -> None:
    tree = Tree(tmp_path)
    tree.remove(broken)
    clients = Clients(tree.root)
    clients.refresh()
    assert read_or_absence(lambda: clients.of("xe")) is Absence.ERROR
