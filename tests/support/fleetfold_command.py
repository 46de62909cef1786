"""The command `fleetfold` as its users have it: a process, with what it prints and leaves behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from queue import Queue
from threading import Thread
from time import monotonic, sleep
from unittest.mock import patch

from fleetfold_cli.__main__ import main

COMMAND = (sys.executable, "-m", "fleetfold_cli")
LISTENS = re.compile(r"NATS listens at (\S+)\.")


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    stdout: str
    stderr: str


def fleetfold(*arguments: str, stdin: str = "", **environment: str) -> Ended:
    """Run a command to its end, in this process: that saves the second that Python takes to start and import."""
    stdout, stderr = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", ["fleetfold", *arguments]),
        patch.object(sys, "stdin", StringIO(stdin)),
        patch.dict(os.environ, {**_environment(), **environment}, clear=True),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            main()
        except SystemExit as ended:
            return Ended(int(ended.code or 0), stdout.getvalue(), stderr.getvalue())
    return Ended(0, stdout.getvalue(), stderr.getvalue())


@dataclass
class Running:
    """A command that runs until it is stopped. Its output is read as it comes."""

    process: "subprocess.Popen[str]"
    lines: "Queue[str | None]"
    seen: str = ""

    def wait_for(self, text: str, within_s: float = 40.0) -> str:
        """The line that holds `text`, once it is printed."""
        give_up_at = monotonic() + within_s
        while (line := self.lines.get(timeout=max(0.01, give_up_at - monotonic()))) is not None:
            self.seen += line
            if text in line:
                return line
        raise AssertionError(f"it ended without saying {text!r}: {self.seen}")

    def stop(self, number: signal.Signals = signal.SIGINT, within_s: float = 30.0) -> int:
        """Send a signal, and wait for the end. Gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def rest(self) -> str:
        """All that it printed, once it has ended."""
        while (line := self.lines.get(timeout=60)) is not None:
            self.seen += line
        return self.seen


@contextmanager
def running(*arguments: str, environment: Mapping[str, str] | None = None) -> Generator[Running, None, None]:
    """Start a command; it is killed where the block leaves it running."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**_environment(), "PYTHONUNBUFFERED": "1", **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: Queue[str | None] = Queue()
    reader = Thread(target=_read, args=(process, lines))
    reader.start()
    try:
        yield Running(process, lines)
    finally:
        process.kill()
        process.wait()
        reader.join()


def processes_that_mention(text: str, *but: int) -> dict[int, str]:
    """The processes of this machine in whose command line or environment a text stands, with their command lines."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # It has ended, or is not ours to look at.
        if int(folder.name) not in (os.getpid(), *but) and (text in command or text in environment):
            found[int(folder.name)] = command
    return found


def wait_until_none_mention(text: str, within_s: float = 10.0) -> None:
    """Wait until no process is left in which a text stands."""
    give_up_at = monotonic() + within_s
    while found := processes_that_mention(text):
        assert monotonic() < give_up_at, f"left behind: {found}"
        sleep(0.05)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("FLEETFOLD_")}


def _read(process: "subprocess.Popen[str]", lines: "Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    process.stdout.close()
    lines.put(None)
