"""The small files by which the Linux kernel tells of devices: a number or a few words each, and many of them missing.

What each of them means is written in the kernel's tree under Documentation/ABI. Units differ from file to file.
"""

import errno
from pathlib import Path

from fleetfold_contracts.samples import Absence
from fleetfold_devices.meter import AbsentError

READ_BYTES_MAX = 64 * 1024
"""No file that is read here is larger."""

KIB = 1024

INTEGER_MAX = 2**64 - 1
"""The kernel counts in no more than 64 bits."""

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


def read_int(path: Path, *, base: int = 10) -> int:
    """The number that a file says. With base 16 it may begin with `0x`.

    Raises:
        AbsentError: as with `read_text`, or it is no number of 64 bits.
    """
    text = read_text(path)
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
        AbsentError: none is there, or the first that is there cannot be read.
    """
    for path in paths[:-1]:
        if path.exists():
            return read_int(path)
    return read_int(paths[-1])


def link_name(path: Path) -> str:
    """The last part of what a symbolic link points to, such as the name of a device's driver; empty where there is none."""
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
    for directory in sorted(device.glob("hwmon/hwmon*")):
        try:
            if read_text(directory / "name") == name:
                return directory
        except AbsentError:
            continue
    raise AbsentError(Absence.UNSUPPORTED, f"{device} has no sensors called {name}", for_good=True)


def host_memory(root: Path) -> tuple[int, int]:
    """The memory of this machine in bytes: used, and all of it. Used is what no program could have without swapping.

    From the lines MemTotal and MemAvailable of /proc/meminfo, which are in KiB (proc_meminfo(5)).

    Raises:
        AbsentError: they are not there.
    """
    path = root / "proc/meminfo"
    lines = dict(line.split(":", 1) for line in read_text(path).splitlines() if ":" in line)
    try:
        total, available = (int(lines[key].removesuffix("kB")) * KIB for key in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError) as error:
        raise AbsentError(Absence.ERROR, f"{path}: {error!r}") from None
    return total - available, total
