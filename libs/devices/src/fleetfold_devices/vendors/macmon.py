"""The program `macmon`, run beside us: each second it writes what an Apple chip does, as a line of JSON.

See https://github.com/vladkens/macmon, "JSON output". It needs no root.
"""

import subprocess
from functools import partial
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from typing import IO, Any

import msgspec

from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.library.binding import on_one_line
from fleetfold_devices.port import VendorUnavailableError

PROGRAM = "macmon"
BY_HAND = "see what `macmon pipe --soc-info` says, and bring it up to date (brew upgrade macmon)"

INTERVAL_MS = 1000
SILENT_S_MAX = 10.0
"""Without a line for so long it hangs."""
ENDS_WITHIN_S = 2.0
LINE_BYTES_MAX = 64 * 1024
SAID_CHARACTERS_MAX = 200

Report = dict[str, Any]


class Macmon:
    """A running macmon, and what it wrote last.

    Raises:
        VendorUnavailableError: it cannot be started.
    """

    def __init__(self, program: Path, *, silent_s_max: float = SILENT_S_MAX) -> None:
        self._silent_s_max = silent_s_max
        self._changed = Condition()
        self._report: Report | None = None
        self._heard_at_s = monotonic()
        self._said = ""
        self._ended = False
        self._process = _started(program)
        self._reader = Thread(target=self._listen, args=(self._process.stdout,), name=PROGRAM, daemon=True)
        self._reader.start()

    def report(self) -> Report:
        """What it wrote last. The first time, this waits for it.

        Raises:
            VendorUnavailableError: it has ended, or says nothing any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._report is not None or self._ended, timeout=self._silent_s_max)
            if self._ended:
                raise self._unavailable(f"{PROGRAM} ended")
            if self._report is None or monotonic() - self._heard_at_s > self._silent_s_max:
                raise self._unavailable(f"{PROGRAM} says nothing for {self._silent_s_max:g} s")
            return self._report

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _listen(self, output: IO[bytes]) -> None:
        with output:
            for line in iter(partial(output.readline, LINE_BYTES_MAX), b""):
                self._hear(line)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _hear(self, line: bytes) -> None:
        report = _decoded(line)
        with self._changed:
            if report is None:
                self._said = on_one_line(line.decode(errors="replace"))[:SAID_CHARACTERS_MAX]
                return
            self._report, self._heard_at_s = report, monotonic()
            self._changed.notify_all()

    def _unavailable(self, what: str) -> VendorUnavailableError:
        missing = f"{what} ({self._said})" if self._said else what
        return VendorUnavailableError(Vendor.APPLE.value, missing, BY_HAND)


def _started(program: Path) -> "subprocess.Popen[bytes]":
    command = [program, "pipe", "--soc-info", "--interval", str(INTERVAL_MS)]
    try:
        # Its complaints come on the same pipe, so that they can be told to whoever asks why there is nothing.
        return subprocess.Popen(  # noqa: S603  # a program that the user installed
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise VendorUnavailableError(Vendor.APPLE.value, f"{PROGRAM} cannot be started ({error})", BY_HAND) from error


def _decoded(line: bytes) -> Report | None:
    try:
        return msgspec.json.decode(line, type=Report)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
