"""Reads a vendor's GPUs on a fake library, story after story. Prints JSON alone, one line a story.

    read_source.py VENDOR

A story is a JSON object on one line of the standard input: what is `wanted` of the source, and its `steps`. A step is
    NAME=VALUE  set an environment variable, for what comes after in this story
    +VERB       discover, links, health, faults, or reopen: close the source, open another, and discover
    WORDS       set FAKE_GPU to these, and sample
The first words hold from before the source is opened until its devices are discovered.
"""

import os
import sys
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec

from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.local import ADAPTERS
from fleetfold_devices.port import DeviceSource, VendorUnavailableError, Wanted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Run:
    def __init__(self, vendor: Vendor, wanted: Wanted) -> None:
        self._vendor = vendor
        self._wanted = wanted
        self._source: DeviceSource | None = None
        self.seen: defaultdict[str, list[Any]] = defaultdict(list)

    def do(self, step: str) -> None:
        try:
            self._do(step)
        except VendorUnavailableError as error:
            self.seen["unavailable"].append({"missing": error.missing, "remedy": error.remedy})

    def reopen(self) -> None:
        self.close()
        self._source = ADAPTERS[self._vendor]("desk", self._wanted)
        self._keep("inventories", self._source.discover())

    def close(self) -> None:
        if self._source is not None:
            self._source.close()

    def _do(self, step: str) -> None:
        name, given, value = step.partition("=")
        if step == "+reopen":
            self.reopen()
        elif step.startswith("+"):
            self._ask(step[1:])
        elif given:
            os.environ[name] = value
        else:
            os.environ["FAKE_GPU"] = step
            if self._source is None:
                self.reopen()
            self._ask("sample")

    def _ask(self, verb: str) -> None:
        assert self._source is not None
        if verb == "discover":
            self._keep("inventories", self._source.discover())
        elif verb in {"sample", "health"}:
            self._keep(verb, getattr(self._source, verb)(NOW))
        else:
            self._keep(verb, getattr(self._source, verb)())

    def _keep(self, name: str, told: object) -> None:
        self.seen[name].append(told)


class Story(msgspec.Struct, frozen=True):
    steps: list[str]
    wanted: Wanted


def told(vendor: Vendor, story: Story) -> dict[str, list[Any]]:
    for name in [name for name in os.environ if name.startswith("FAKE_")]:
        del os.environ[name]
    run = Run(vendor, story.wanted)
    for step in story.steps:
        run.do(step)
    run.close()
    return run.seen


def main(vendor: str) -> None:
    for line in sys.stdin:
        seen = told(Vendor(vendor), msgspec.json.decode(line, type=Story))
        sys.stdout.buffer.write(msgspec.json.encode(seen) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
