"""The memory that Intel's drivers tell when asked, on an `ioctl` that answers as the kernel's headers have it."""

import ctypes
import errno
import fcntl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetfold_contracts.samples import Absence
from fleetfold_devices.kernel.drm_query import LocalMemory, local_memory
from fleetfold_devices.meter import AbsentError
from fleetfold_devices.vendors.intel import IntelSource
from tests.support import kernel_tree
from tests.support.kernel_tree import GIB, INTEGRATED, MIB, XE_CARD, Tree, xe_client
from tests.support.readings import read_or_absence

NOW = datetime(2026, 1, 1, tzinfo=UTC)

XE_DEVICE_QUERY = 0xC0286440
I915_DEVICE_QUERY = 0xC0106479
"""DRM_IOCTL_XE_DEVICE_QUERY and DRM_IOCTL_I915_QUERY, as a C compiler makes them of the kernel's headers."""
SYSTEM, LOCAL = 0, 1


@dataclass
class Kernel:
    """What drivers answer: for each region its class, its bytes, and how many of them are used."""

    regions: tuple[tuple[int, int, int], ...] = ()
    answer: bytes | None = None
    """Said instead of the regions."""

    def ioctl(self, _file: int, request: int, argument: bytearray) -> None:
        {XE_DEVICE_QUERY: self._xe, I915_DEVICE_QUERY: self._i915}[request](argument)

    def _xe(self, query: bytearray) -> None:
        _, kind, size, data, *_ = struct.unpack("=QIIQQQ", query)
        assert kind == 1
        regions = (struct.pack("=HHIQQ64x", *region, 4096, total, used) for *region, total, used in self._numbered())
        answer = struct.pack("=II", len(self.regions), 0) + b"".join(regions)
        struct.pack_into("=I", query, 12, self._tell(answer, size, data))

    def _i915(self, query: bytearray) -> None:
        count, _, items = struct.unpack("=IIQ", query)
        kind, size, _, data = struct.unpack("=QiIQ", ctypes.string_at(items, 24))
        assert (count, kind) == (1, 4)
        regions = (
            struct.pack("=HHIQQ64x", *region, 0, total, total - used) for *region, total, used in self._numbered()
        )
        answer = struct.pack("=IIII", len(self.regions), 0, 0, 0) + b"".join(regions)
        told = struct.pack("=QiIQ", kind, self._tell(answer, size, data), 0, data)
        ctypes.memmove(items, told, len(told))

    def _numbered(self) -> list[tuple[int, int, int, int]]:
        return [(kind, number, total, used) for number, (kind, total, used) in enumerate(self.regions)]

    def _tell(self, answer: bytes, size: int, data: int) -> int:
        answer = answer if self.answer is None else self.answer
        if size not in {0, len(answer)}:
            raise OSError(errno.EINVAL, "the size is another")
        if size:
            ctypes.memmove(data, answer, size)
        return len(answer)


Ask = Callable[[Kernel], LocalMemory | None]


@pytest.fixture(params=["xe", "i915"])
def ask(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks a driver."""
    node = tmp_path / "renderD128"
    node.touch()

    def ask_kernel(kernel: Kernel) -> LocalMemory | None:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        return local_memory(request.param, node)

    return ask_kernel


def test_the_memory_of_a_card_is_told(ask: Ask) -> None:
    kernel = Kernel(((SYSTEM, 64 * GIB, 30 * GIB), (LOCAL, 12 * GIB, 3 * GIB)))
    assert ask(kernel) == LocalMemory(12 * GIB, 3 * GIB)


def test_the_tiles_of_a_card_are_one_memory(ask: Ask) -> None:
    kernel = Kernel(((LOCAL, 64 * GIB, GIB), (SYSTEM, GIB, 0), (LOCAL, 64 * GIB, 2 * GIB)))
    assert ask(kernel) == LocalMemory(128 * GIB, 3 * GIB)


def test_a_use_of_zero_is_none_that_we_are_told(ask: Ask) -> None:
    assert ask(Kernel(((LOCAL, 12 * GIB, 0),))) == LocalMemory(12 * GIB, None)


def test_a_gpu_without_memory_of_its_own_says_so(ask: Ask) -> None:
    assert ask(Kernel(((SYSTEM, 64 * GIB, 0),))) is None


@pytest.mark.parametrize("answer", [b"", b"x" * 70_000])
def test_an_answer_of_no_size_that_can_be_is_an_error(ask: Ask, answer: bytes) -> None:
    with pytest.raises(AbsentError):
        ask(Kernel(answer=answer))


@given(answer=st.binary(max_size=300))
@settings(deadline=None)
def test_whatever_is_answered_is_memory_or_an_absence(answer: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    node = tmp_path_factory.getbasetemp() / "renderD128"
    node.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "ioctl", Kernel(answer=answer).ioctl)
        for driver in ("xe", "i915"):
            with suppress(AbsentError):
                told = local_memory(driver, node)
                assert told is None or told.used_bytes is None or told.used_bytes > 0


def test_a_driver_that_knows_no_such_question_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "renderD128").touch()  # a plain file answers no driver's question
    assert read_or_absence(lambda: local_memory("xe", tmp_path / "renderD128")) is Absence.ERROR


def test_a_node_that_cannot_be_opened_says_which_group_may(tmp_path: Path) -> None:
    with pytest.raises(AbsentError) as absent:
        local_memory("xe", tmp_path / "renderD128")
    assert "`render`" in str(absent.value)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.write({"dev/dri/renderD128": ""})
    return tree


def test_a_card_believes_its_driver_before_the_sum_over_programs(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_tree.xe_card(tree)
    tree.program(1, "a", xe_client(1, cycles=0, all_cycles=1, vram_mib=5))
    kernel = Kernel(((LOCAL, 12 * GIB - MIB, 3 * GIB),))
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    source = IntelSource("desk", root=tree.root)
    [device] = source.discover().devices
    assert (device.max_memory_bytes, device.unified_memory) == (12 * GIB - MIB, False)
    [sample] = source.sample(NOW)
    assert (sample.memory_used_bytes, sample.memory_total_bytes) == (3 * GIB, 12 * GIB - MIB)
    # Without the right to know, the driver says 0.
    kernel.regions = ((LOCAL, 12 * GIB - MIB, 0),)
    [sample] = source.sample(NOW)
    assert sample.memory_used_bytes == 5 * MIB


def test_a_gpu_that_says_it_has_no_memory_is_integrated_wherever_it_sits(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.drm(XE_CARD, "xe")
    tree.write({f"{XE_CARD}/device": "0x64a0"})
    monkeypatch.setattr(fcntl, "ioctl", Kernel(((SYSTEM, 64 * GIB, 0),)).ioctl)
    [device] = IntelSource("desk", root=tree.root).discover().devices
    assert device.unified_memory


def test_a_card_in_the_slot_of_integrated_gpus_is_known_by_its_memory(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So a virtual machine may show a card that was handed to it.
    tree.drm(INTEGRATED, "i915")
    tree.write({f"{INTEGRATED}/device": "0x56a0"})
    monkeypatch.setattr(fcntl, "ioctl", Kernel(((LOCAL, 16 * GIB, GIB),)).ioctl)
    [device] = IntelSource("desk", root=tree.root).discover().devices
    assert (device.unified_memory, device.max_memory_bytes) == (False, 16 * GIB)
