"""The small files by which the Linux kernel tells of devices: a number or a few words each, and many of them missing.

What each of them means is written in the kernel's tree under Documentation/ABI. Units differ from file to file.
"""

import errno
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from fleetfold_contracts.samples import Absence
from fleetfold_devices import meter
from fleetfold_devices.host import host_memory_available_bytes, host_memory_bytes
from fleetfold_devices.meter import AbsentError, Probe

KIB = 1024

READ_BYTES_MAX = 64 * KIB
"""No file that is read here is larger."""

INTEGER_MAX = 2**64 - 1
"""The kernel counts in no more than 64 bits."""

Reads = Mapping[tuple[str, ...], Callable[[], Sequence[object]]]
"""How to read each group of readings."""

_LACKING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EOPNOTSUPP})


def read_text(path: Path) -> str:
    """What a file says, without the white space around it.

    Raises:
        AbsentError: for good where there is no such file, or the driver says that the hardware lacks it; else for this
            time: it may not be read, the device is busy, or it says nothing, or something that is no text.
    """
    try:
        with path.open("rb") as file:
            text = file.read(READ_BYTES_MAX).decode().strip()
    except OSError as error:
        if error.errno in _LACKING:
            raise AbsentError(Absence.UNSUPPORTED, str(error), for_good=True) from error
        raise AbsentError(Absence.ERROR, str(error)) from error
    except UnicodeDecodeError as error:
        raise AbsentError(Absence.ERROR, f"{path} is no text") from error
    if not text:
        raise AbsentError(Absence.ERROR, f"{path} says nothing")
    return text


def text_or_none(path: Path) -> str | None:
    """What a file says; None where it says nothing."""
    try:
        return read_text(path)
    except AbsentError:
        return None


def read_int(path: Path, *, base: int = 10) -> int:
    """The number that a file says. With base 16 it may begin with `0x`.

    Raises:
        AbsentError: as with `read_text`, or it is no number of 64 bits.
    """
    return as_int(read_text(path), path, base=base)


def as_int(text: str, path: Path, *, base: int = 10) -> int:
    """The number that a part of a file says.

    Raises:
        AbsentError: it is no number of 64 bits.
    """
    try:
        number = int(text, base)
    except ValueError:
        raise AbsentError(Absence.ERROR, f"{path} is no number: {text[:40]!r}") from None
    if abs(number) > INTEGER_MAX:
        raise AbsentError(Absence.ERROR, f"{path} has more than 64 bits")
    return number


def read_first_int(*paths: Path) -> int:
    """The number that the first of these files says that is there.

    Raises:
        AbsentError: for good where none is there; else that one could not be read.
    """
    for path in paths[:-1]:
        try:
            return read_int(path)
        except AbsentError as error:
            if not error.for_good:
                raise
    return read_int(paths[-1])


def is_directory(path: Path) -> bool:
    """Whether a directory is there for us."""
    try:
        return path.is_dir()
    except OSError:
        return False


def matching(directory: Path, pattern: str) -> list[Path]:
    """The paths below a directory that match, in order; none where the directory goes away meanwhile."""
    try:
        return sorted(directory.glob(pattern))
    except OSError:
        return []


def link_name(path: Path) -> str:
    """The last part of what a symbolic link points to, such as the name of a device's driver; empty without a link."""
    try:
        return path.readlink().name
    except OSError:
        return ""


def hwmon(device: Path, name: str) -> Path:
    """The directory with a device's sensors, by the name that the driver gave it. A device may have several.

    Their numbers are in thousandths of a degree Celsius, microwatts and microjoules (Documentation/hwmon/
    sysfs-interface.rst).

    Raises:
        AbsentError: the device has no such sensors.
    """
    for directory in matching(device, "hwmon/hwmon*"):
        try:
            if read_text(directory / "name") == name:
                return directory
        except AbsentError:
            continue
    raise AbsentError(Absence.UNSUPPORTED, f"{device} has no sensors called {name}", for_good=True)


def shared_memory(root: Path) -> tuple[int | None, int | None]:
    """The memory of this machine in bytes, which a GPU without memory of its own shares: used, and all of it.

    Used is what a program could no longer have.

    Raises:
        AbsentError: the kernel does not tell.
    """
    available_bytes = host_memory_available_bytes(root)
    if available_bytes is None:
        raise AbsentError(Absence.ERROR, "the kernel does not tell how much memory is available")
    total_bytes = host_memory_bytes()
    return meter.memory(total_bytes - available_bytes, total_bytes)


def driver_version(root: Path, driver: str) -> str | None:
    """The version of a driver that is a part of the kernel: the kernel's; None where that is not told."""
    release = text_or_none(root / "proc/sys/kernel/osrelease")
    return f"{driver} of Linux {release}" if release else None


def probes(reads: Reads, check_there: Callable[[], None]) -> list[Probe]:
    """Probes of a device's files. A file that is missing because the device has just gone away is not lacking for good.

    `check_there` raises DeviceLostError where the device is gone.
    """

    def read_while_there(read: Callable[[], Sequence[object]]) -> Sequence[object]:
        try:
            return read()
        except AbsentError:
            check_there()
            raise

    return [Probe(readings, partial(read_while_there, read)) for readings, read in reads.items()]
