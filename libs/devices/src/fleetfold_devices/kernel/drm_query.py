"""The local memory of an Intel GPU, asked of its driver: neither driver tells it in a file.

The structs and numbers are those of the kernel's include/uapi/drm/xe_drm.h (DRM_IOCTL_XE_DEVICE_QUERY with
DRM_XE_DEVICE_QUERY_MEM_REGIONS) and include/uapi/drm/i915_drm.h (DRM_IOCTL_I915_QUERY with
DRM_I915_QUERY_MEMORY_REGIONS). Both are asked twice: how many bytes the answer has, and then for the answer.
"""

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fleetfold_contracts.samples import Absence
from fleetfold_devices.meter import AbsentError

ANSWER_BYTES_MAX = 64 * 1024

Ioctl = Callable[[int, int, bytearray], object]


def _request(number: int, argument: struct.Struct) -> int:
    # _IOWR('d', 0x40 + number, argument), from asm-generic/ioctl.h: 3 is "read and write", 0x40 DRM_COMMAND_BASE.
    return 3 << 30 | argument.size << 16 | ord("d") << 8 | 0x40 + number


XE_QUERY = struct.Struct("=QIIQ16x")
"""drm_xe_device_query: extensions, query, size, data, reserved."""
XE_DEVICE_QUERY = _request(0x00, XE_QUERY)
XE_MEMORY_REGIONS = 1
XE_HEADER_BYTES = 8

I915_QUERY = struct.Struct("=IIQ")
"""drm_i915_query: number of items, flags, pointer to the items."""
I915_ITEM = struct.Struct("=QiIQ")
"""drm_i915_query_item: query, length, flags, pointer to the data."""
I915_DEVICE_QUERY = _request(0x39, I915_QUERY)
I915_MEMORY_REGIONS = 4
I915_HEADER_BYTES = 16

REGION = struct.Struct("=HHIQQ64x")
"""drm_xe_mem_region: class, instance, page size, bytes in all, bytes used, …; drm_i915_memory_region_info: class,
instance, reserved, bytes in all, bytes free, …"""
LOCAL = 1
"""The class of memory that is the device's own, at both."""


@dataclass(frozen=True, slots=True)
class LocalMemory:
    """A device's own memory. `used_bytes` is None where the driver keeps it from us: it asks for CAP_PERFMON."""

    total_bytes: int
    used_bytes: int | None


def local_memory(driver: str, node: Path) -> LocalMemory | None:
    """Ask a driver, `xe` or `i915`, by a device's render node. None: the device has no memory of its own.

    Raises:
        AbsentError: the node cannot be opened, or the driver does not answer.
    """
    from fcntl import ioctl  # noqa: PLC0415  # Windows lacks it, and must be able to import every adapter

    try:
        file = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise AbsentError(Absence.ERROR, f"{error}: add the agent's user to the group `render`") from error
    try:
        return _ASK[driver](ioctl, file)
    except OSError as error:
        raise AbsentError(Absence.ERROR, f"{node}: {error}") from error
    finally:
        os.close(file)


def _of_xe(ioctl: Ioctl, file: int) -> LocalMemory | None:
    def ask(size: int, data: int) -> int:
        query = bytearray(XE_QUERY.pack(0, XE_MEMORY_REGIONS, size, data))
        ioctl(file, XE_DEVICE_QUERY, query)
        return XE_QUERY.unpack(query)[2]

    return _local(_answer(ask)[XE_HEADER_BYTES:], lambda _, used_bytes: used_bytes)


def _of_i915(ioctl: Ioctl, file: int) -> LocalMemory | None:
    def ask(size: int, data: int) -> int:
        item = ctypes.create_string_buffer(I915_ITEM.pack(I915_MEMORY_REGIONS, size, 0, data), I915_ITEM.size)
        ioctl(file, I915_DEVICE_QUERY, bytearray(I915_QUERY.pack(1, 0, ctypes.addressof(item))))
        return I915_ITEM.unpack(item.raw)[1]

    return _local(_answer(ask)[I915_HEADER_BYTES:], lambda total_bytes, free_bytes: total_bytes - free_bytes)


_ASK = {"xe": _of_xe, "i915": _of_i915}


def _answer(ask: Callable[[int, int], int]) -> bytes:
    size = ask(0, 0)
    if not 0 < size <= ANSWER_BYTES_MAX:
        raise AbsentError(Absence.ERROR, f"the driver's answer would have {size} bytes")
    answer = ctypes.create_string_buffer(size)
    ask(size, ctypes.addressof(answer))
    return answer.raw


def _local(regions: bytes, used: Callable[[int, int], int]) -> LocalMemory | None:
    found = [(total, used(total, other)) for kind, total, other in _regions(regions) if kind == LOCAL]
    if not found:
        return None
    # The driver itself always uses some: a zero says that we are not told.
    used_bytes = sum(used_bytes for _, used_bytes in found)
    return LocalMemory(sum(total_bytes for total_bytes, _ in found), used_bytes if used_bytes > 0 else None)


def _regions(regions: bytes) -> Iterator[tuple[int, int, int]]:
    whole = len(regions) // REGION.size * REGION.size
    for kind, _, _, total_bytes, other_bytes in REGION.iter_unpack(regions[:whole]):
        yield kind, total_bytes, other_bytes
