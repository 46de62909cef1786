"""A vendor's source in a process that can be killed: no thread can leave a driver's call that never returns."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.isolation.frames import LENGTH_BYTES, Reply, Unavailable, framed, payload_bytes, reply_of
from fleetfold_devices.isolation.look import Look, Question
from fleetfold_devices.port import DevicesError, Wanted

REAPED_WITHIN_S = 1.0


class VendorProcessError(DevicesError):
    """A vendor's process did not do its work: it was killed, or had ended by itself. The next look starts another."""


def vendor_command(vendor: Vendor, node_id: NodeId, wanted: Wanted) -> list[str]:
    """The command line of the process that looks at a vendor's devices."""
    return [
        sys.executable,
        "-m",
        "fleetfold_devices.isolation.child",
        vendor,
        node_id,
        msgspec.json.encode(wanted).decode(),
    ]


class IsolatedSource:
    """A source behind two pipes. Its process is started by the first look, and by the first one after it has ended.

    One look at a time. A process that was killed and does not end, because the kernel holds it in the driver, is not
    followed by another.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
        self._command = command
        self._process: Process | None = None
        self._killed: Process | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process to be asked, which knows the devices of its last discovery."""
        return self._process is not None

    async def look(self, question: Question, *, within_s: float) -> Look:
        """Look at the devices, within so many seconds at most; a look that is cancelled ends the process too.

        Raises:
            VendorUnavailableError: the vendor's library or driver is missing, too old, or gone. The process has ended.
            VendorProcessError: it did not answer in time, crashed, or said what cannot be read. It has ended, or been
                killed.
        """
        try:
            async with asyncio.timeout(within_s):
                reply = await self._reply(question)
        except TimeoutError:
            await self.close()
            raise VendorProcessError(f"{self._name}: no answer within {within_s:g} s, its process was killed") from None
        except ValueError as error:
            await self.close()
            raise VendorProcessError(f"{self._name}: what its process says cannot be read: {error}") from None
        except (OSError, EOFError):
            raise VendorProcessError(f"{self._name}: its process ended{await self._how_it_ended()}") from None
        except asyncio.CancelledError:
            self._kill()
            raise
        if isinstance(reply, Unavailable):
            await self.close()
            raise reply.as_error()
        return reply

    async def close(self) -> None:
        """End the process, if there is one."""
        self._kill()
        if self._killed is not None:
            await _reaped(self._killed)

    async def _reply(self, question: Question) -> Reply:
        process = self._process or await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        # A process may have said why it ends before it was asked.
        with suppress(OSError):
            process.stdin.write(framed(question))
            await process.stdin.drain()
        head = await process.stdout.readexactly(LENGTH_BYTES)
        return reply_of(await process.stdout.readexactly(payload_bytes(head)))

    async def _started(self) -> Process:
        if self._killed is not None and self._killed.returncode is None:
            raise VendorProcessError(f"{self._name}: its process was killed, but the kernel holds it in the driver")
        try:
            self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        except OSError as error:
            raise VendorProcessError(f"{self._name}: its process cannot be started: {error}") from None
        return self._process

    def _kill(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process, self._killed = None, self._process

    async def _how_it_ended(self) -> str:
        # One that only closed its pipe runs on, and has to be killed.
        code = None if self._process is None else await _reaped(self._process)
        await self.close()
        if code is None:
            return ""
        return f" by {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"


async def _reaped(process: Process) -> int | None:
    """A process's exit code, or the negative number of the signal that ended it; None where it does not end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REAPED_WITHIN_S):
            return await process.wait()
    return None
