"""What programs use of GPUs: the kernel's drivers tell it of each open device file in /proc/<pid>/fdinfo.

The keys are those of the kernel's Documentation/gpu/drm-usage-stats.rst. A driver counts how long each kind of engine
has worked for a client, in nanoseconds (`drm-engine-…`) or in cycles out of so many that passed (`drm-cycles-…`,
`drm-total-cycles-…`), and what memory the client has in each region (`drm-resident-…`, of old `drm-memory-…`).

The sum over all programs is the device's figure only if no program is hidden from us. Where some may be, there is no
figure: a sum over the others would be a low number, or a zero, that nobody read.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fleetfold_contracts.samples import Absence, DeviceProcess
from fleetfold_devices import meter
from fleetfold_devices.kernel.sysfs import INTEGER_MAX, KIB, link_name, read_text, text_or_none
from fleetfold_devices.meter import AbsentError

LOOK_ANEW_S = 10.0
"""A program that was there before it opened a GPU is noticed within this time: looking through all files costs more
than reading the few that count. A new program is looked into at once."""

HOST_PID_NAMESPACE = "pid:[4026531836]"
"""The kernel's own namespace of processes has this number at every boot (PROC_PID_INIT_INO in linux/proc_ns.h)."""
CAP_SYS_PTRACE = 19
"""The capability to look into the processes of others (linux/capability.h)."""
MAY_SEE_ALL = "run the agent as root or with CAP_SYS_PTRACE, in a container also with the host's processes (--pid=host)"

COMPUTE_ENGINES = frozenset({"render", "compute", "rcs", "ccs", "gpu"})
"""The names that i915, xe and msm give to the engines that compute. The others copy, and code video."""

UNITS = {"": 1, "ns": 1, "KiB": KIB, "MiB": KIB**2, "GiB": KIB**3}
_OTHER_KINDS = ("capacity-", "cycles-")
"""`drm-engine-capacity-…` is no engine, and `drm-total-cycles-…` no memory."""
_NUMBER = re.compile(r"(\d{1,20})\s*(\w*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Engine:
    """How long one kind of engine has worked for a client: `busy` out of `total`, in one and the same unit."""

    busy: int
    total: int
    capacity: int = 1
    """How many engines of this kind there are."""

    def share_since(self, before: "Engine") -> float:
        """The part of the time since `before` in which it worked, from 0 up. Beyond 1 is a driver's inexactness."""
        return (self.busy - before.busy) / ((self.total - before.total) * self.capacity)


@dataclass(frozen=True, slots=True)
class Client:
    """One opening of a device by a program."""

    client_id: int
    pid: int
    driver: str
    pci_address: str
    """Empty where the device sits on no PCI bus."""
    engines: dict[str, Engine]
    memory_bytes: dict[str, int]
    """By region."""


def parse(pid: int, text: str, now_ns: int) -> Client | None:
    """The client that an fdinfo file tells of; None where it is no device file, or its client cannot be told apart."""
    pairs = (line.split(":", 1) for line in text.splitlines() if line.startswith("drm-") and ":" in line)
    fields = {key: value.strip() for key, value in pairs}
    client_id = _number(fields.get("drm-client-id", ""))
    if client_id is None or "drm-driver" not in fields:
        return None
    numbers = {key: number for key, value in fields.items() if (number := _number(value)) is not None}
    return Client(
        client_id=client_id,
        pid=pid,
        driver=fields["drm-driver"],
        pci_address=fields.get("drm-pdev", ""),
        engines=_engines(numbers, now_ns),
        memory_bytes=_memory_bytes(numbers),
    )


def _number(text: str) -> int | None:
    found = _NUMBER.match(text)
    if found is None or found[2] not in UNITS:
        return None
    number = int(found[1]) * UNITS[found[2]]
    return number if number <= INTEGER_MAX else None


def _engines(numbers: dict[str, int], now_ns: int) -> dict[str, Engine]:
    timed = {name: (busy, now_ns) for name, busy in _of("drm-engine-", numbers)}
    counted = {
        name: (busy, numbers[f"drm-total-cycles-{name}"])
        for name, busy in _of("drm-cycles-", numbers)
        if f"drm-total-cycles-{name}" in numbers
    }
    # A capacity of zero is forbidden, and would have us divide by it.
    return {
        name: Engine(busy, total, numbers.get(f"drm-engine-capacity-{name}") or 1)
        for name, (busy, total) in (timed | counted).items()
    }


def _memory_bytes(numbers: dict[str, int]) -> dict[str, int]:
    # What lies in the region now is meant. Older kernels know no such key.
    kinds = ("drm-memory-", "drm-total-", "drm-resident-")
    return {region: number for kind in kinds for region, number in _of(kind, numbers)}


def _of(prefix: str, numbers: dict[str, int]) -> Iterator[tuple[str, int]]:
    for key, number in numbers.items():
        name = key.removeprefix(prefix)
        if name != key and not name.startswith(_OTHER_KINDS):
            yield name, number


class Clients:
    """The clients of every device of this host, as they were at the last `refresh`."""

    def __init__(self, root: Path, *, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._root = root
        self._clock_ns = clock_ns
        self._files: dict[int, tuple[Path, ...]] = {}
        self._looked_at_ns: int | None = None
        self._clients: tuple[Client, ...] = ()
        self.hidden = ""
        """Why some clients may be hidden from us; empty where none are."""

    def refresh(self) -> None:
        """Read every client anew."""
        try:
            _check_that_all_can_be_seen(self._root)
            self._look()
            self._clients, self.hidden = tuple(self._read()), ""
        except AbsentError as hidden:
            self.hidden = str(hidden)

    def of(self, driver: str, pci_address: str = "") -> tuple[Client, ...]:
        """The clients of one device, each once, however many files and processes share it.

        Raises:
            AbsentError: some may be hidden from us.
        """
        if self.hidden:
            raise AbsentError(Absence.ERROR, self.hidden)
        found = (client for client in self._clients if (client.driver, client.pci_address) == (driver, pci_address))
        return tuple({client.client_id: client for client in found}.values())

    def _look(self) -> None:
        now_ns = self._clock_ns()
        if self._looked_at_ns is None or now_ns - self._looked_at_ns >= LOOK_ANEW_S * 1e9:
            self._files, self._looked_at_ns = {}, now_ns
        known = self._files
        self._files = {
            pid: known[pid] if pid in known else _device_files(self._root / f"proc/{pid}") for pid in self._pids()
        }

    def _pids(self) -> list[int]:
        try:
            return [int(entry.name) for entry in (self._root / "proc").iterdir() if entry.name.isdecimal()]
        except OSError as error:
            raise AbsentError(Absence.ERROR, str(error)) from error

    def _read(self) -> Iterator[Client]:
        now_ns = self._clock_ns()
        for pid, files in self._files.items():
            for file in files:
                client = _client(pid, file, now_ns)
                if client is not None:
                    yield client


def _client(pid: int, file: Path, now_ns: int) -> Client | None:
    text = text_or_none(file)  # None: it was closed meanwhile
    return None if text is None else parse(pid, text, now_ns)


def _device_files(process: Path) -> tuple[Path, ...]:
    try:
        files = list((process / "fd").iterdir())
    except PermissionError as error:
        raise AbsentError(Absence.ERROR, f"{error}: {MAY_SEE_ALL}") from error
    except OSError:
        return ()  # it ended meanwhile
    return tuple(process / "fdinfo" / file.name for file in files if _is_device_file(file))


def _is_device_file(file: Path) -> bool:
    try:
        return file.readlink().is_relative_to("/dev/dri")
    except OSError:
        return False


def _check_that_all_can_be_seen(root: Path) -> None:
    if link_name(root / "proc/self/ns/pid") != HOST_PID_NAMESPACE:
        raise AbsentError(Absence.ERROR, f"the host's processes are hidden in this container: {MAY_SEE_ALL}")
    if not _capabilities(root) >> CAP_SYS_PTRACE & 1:
        raise AbsentError(Absence.ERROR, f"the processes of others are hidden: {MAY_SEE_ALL}")


def _capabilities(root: Path) -> int:
    for line in read_text(root / "proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == "CapEff":
            try:
                return int(value, 16)
            except ValueError:
                break
    raise AbsentError(Absence.ERROR, "this process's capabilities are not told")


def processes(
    clients: Iterable[Client], root: Path, memory_bytes: Callable[[Client], int] | None
) -> tuple[DeviceProcess, ...]:
    """The programs behind these clients. `memory_bytes`, for a device that has memory, is what a client has of it."""
    used_bytes: defaultdict[int, int] = defaultdict(int)
    for client in clients:
        used_bytes[client.pid] += memory_bytes(client) if memory_bytes else 0
    return tuple(
        meter.process(pid, text_or_none(root / f"proc/{pid}/comm"), used if memory_bytes else None)
        for pid, used in sorted(used_bytes.items())
    )


class Utilization:
    """How busy the engines of one device are that compute, from one `percent` to the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, str], Engine] | None = None

    def percent(self, clients: Iterable[Client]) -> float:
        """The part of the time in which the busiest kind of engine worked, 0 to 100.

        A client counts from the second time that it is seen. What a client that ended did since it was last seen is
        not known to anyone.

        Raises:
            AbsentError: this is the first time, or a driver's counter was reset.
        """
        before = self._before
        now = {
            (client.client_id, name): engine
            for client in clients
            for name, engine in client.engines.items()
            if name in COMPUTE_ENGINES
        }
        self._before = {key: _not_below(engine, (before or {}).get(key)) for key, engine in now.items()}
        if before is None:
            raise AbsentError(Absence.PENDING, "how busy it is, is known from the second time on")
        return _busiest(before, self._before)


def _not_below(engine: Engine, before: Engine | None) -> Engine:
    # A driver may give a lower figure for a while. The specification asks to stay with the higher one until then.
    return engine if before is None or engine.busy >= before.busy else replace(engine, busy=before.busy)


def _busiest(before: dict[tuple[int, str], Engine], now: dict[tuple[int, str], Engine]) -> float:
    shares: defaultdict[str, float] = defaultdict(float)
    for key, engine in now.items():
        if key not in before:
            continue
        if engine.total <= before[key].total:
            raise AbsentError(Absence.PENDING, "the driver's count of all cycles was reset")
        shares[key[1]] += engine.share_since(before[key])
    return 100.0 * min(1.0, max(shares.values(), default=0.0))
