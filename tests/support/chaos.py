"""Work while everything that takes part in it is killed: worker processes, distributors, and the server once.

A kill comes when so many items are counted as done, and not at a time: so each comes in mid-work, on a slow machine as
on a fast one. Which process it hits is drawn from a seed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import msgspec

from fleetfold_bus.streams import EVENTS
from fleetfold_cli.nats_server import NatsServer
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Distribute
from tests.support.accounts import Accounts
from tests.support.cluster import Cluster, ServiceProcess

DEVICES = 16
WORKERS = 4
DISTRIBUTORS = 2
SILENT_AFTER_S = 2.0
KILLED_WITHIN_S = 0.3
"""So long after its number of items is reached a kill comes at the latest: not always right behind an event."""


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and how much is killed meanwhile."""

    items: int
    kills: int
    """Of processes. The server is killed too, once."""
    seed: int
    item_s: float = 0.0
    """How long an item takes."""
    batch_size: int = 100
    within_s: float = 120.0


@dataclass(frozen=True)
class Survived:
    """What came of it."""

    accounts: Accounts
    worked: Counter[int]
    """How often each item was worked on, by the workers' own journals."""
    killed: Counter[str]
    seconds: float

    @property
    def redone_count(self) -> int:
        """How many items too many were worked on: those of batches that a killed worker held, as far as it had come."""
        return self.worked.total() - len(self.worked)

    def check(self, items: int) -> None:
        """Every item was done, and counted once."""
        once = dict.fromkeys(range(items), 1)
        assert self.accounts.counted == once, "each item is counted as done exactly once"
        assert self.worked.keys() == once.keys(), "what is counted was done"
        end = self.accounts.completed
        assert end is not None
        assert (end.done, end.failed, end.unassigned, end.cancelled) == (items, 0, 0, 0)
        assert sum(share.done for share in end.devices) == items
        assert end.redone == self.accounts.told_again, "what was told of a second time is counted as such"


async def survive(cluster: Cluster, server: NatsServer, storm: Storm) -> Survived:
    """Let the work be done in the storm, and tell how it went. The cluster has no devices and no services yet."""
    devices = await cluster.add_devices(DEVICES)
    cast = _Cast(cluster, devices, storm.item_s)
    accounts, killed = Accounts(), Counter[str]()
    started_s = time.perf_counter()
    await cluster.command("distribute", Distribute(count=storm.items, work_id="w", batch_size=storm.batch_size), "w")
    strikes = _strikes(cast, server, storm)
    async with asyncio.timeout(storm.within_s), aclosing(_followed(cluster, accounts)) as pages:
        async for _ in pages:
            if accounts.completed is not None:
                break
            while strikes and len(accounts.counted) >= strikes[0].at_count:
                await asyncio.sleep(strikes[0].after_s)
                killed[strikes[0].name] += 1
                strikes.pop(0).strike()
    seconds = time.perf_counter() - started_s
    return Survived(accounts, cast.journals(), killed, seconds)


class _Strike(msgspec.Struct, frozen=True):
    name: str
    at_count: int
    after_s: float
    strike: Callable[[], None]


def _strikes(cast: "_Cast", server: NatsServer, storm: Storm) -> list[_Strike]:
    random = Random(storm.seed)
    names = [random.choice(list(cast.running)) for _ in range(storm.kills)]
    names.insert(storm.kills // 2, "nats-server")
    step = storm.items / (len(names) + 1)
    return [
        _Strike(
            name.rstrip("0123456789-"),
            int(step * place),
            random.uniform(0, KILLED_WITHIN_S),
            (lambda: _restart(server)) if name == "nats-server" else (lambda name=name: cast.replace(name)),
        )
        for place, name in enumerate(names, start=1)
    ]


def _restart(server: NatsServer) -> None:
    server.kill()
    server.start()


async def _followed(cluster: Cluster, accounts: Accounts) -> AsyncGenerator[None, None]:
    """Each page of the log, once it is in the accounts."""
    async with aclosing(cluster.bus.read(cluster.subjects.stream(EVENTS))) as pages:
        async for records in pages:
            for record in records:
                accounts.read(codec.decode_event(codec.decode_envelope(record.payload)))
            yield


class _Cast:
    """The processes by their names. Each device is served by two worker processes."""

    def __init__(self, cluster: Cluster, devices: list[str], item_s: float) -> None:
        self._cluster = cluster
        self._journals = [cluster.folder / f"worker-{number}.journal" for number in range(WORKERS)]
        share = len(devices) // WORKERS
        around = devices + devices
        self._settings: dict[str, tuple[str, dict[str, str]]] = {
            f"worker-{number}": (
                "worker",
                {
                    "devices": ",".join(islice(around, number * share, (number + 2) * share)),
                    "journal": str(journal),
                    "item_s": str(item_s),
                },
            )
            for number, journal in enumerate(self._journals)
        }
        self._settings |= {f"distributor-{number}": ("distributor", {}) for number in range(DISTRIBUTORS)}
        self.running: dict[str, ServiceProcess] = {name: self._start(name) for name in self._settings}

    def replace(self, name: str) -> None:
        """Kill a process, and start another in its place."""
        self.running[name].kill()
        self.running[name] = self._start(name)

    def journals(self) -> Counter[int]:
        """How often each item was worked on. Nobody works any more."""
        for process in self.running.values():
            process.kill()
        return Counter(number for journal in self._journals for number in _numbers_in(journal))

    def _start(self, name: str) -> ServiceProcess:
        module, settings = self._settings[name]
        return self._cluster.start(module, silent_after_s=str(SILENT_AFTER_S), **settings)


def _numbers_in(journal: Path) -> list[int]:
    return [int(line) for line in journal.read_bytes().split()] if journal.exists() else []
