"""A service as a child process: started, stopped, killed, watched."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleetfold_cli.stack.tether import tethered

STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """Which service.

    `settings` are its environment variables beside those that all services of a stack share. `answers`: it is a micro
    service by the same name.
    """

    name: str
    module: str
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    answers: bool = True


class ServiceProcess:
    """One service, in a session of its own: a Ctrl-C in the terminal reaches only us, who stop it in good order."""

    def __init__(self, spec: ServiceSpec, environment: Mapping[str, str], logs: Path) -> None:
        self.name = spec.name
        self.log_file = logs / f"{spec.name}.log"
        self._command = tethered([sys.executable, "-m", spec.module])
        self._environment = {**environment, **spec.settings}
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; none when it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it. That it does its work shows later."""
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=log, stderr=STDOUT, env=self._environment, start_new_session=True
            )

    async def ended(self) -> int:
        """Wait until it ends. Gives its exit code, or the negative number of the signal that ended it."""
        assert self._process is not None, "it is started first"
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to finish what it holds and end; kill it when it takes longer than 5 s."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it and all that it started at once, as the loss of its host would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
