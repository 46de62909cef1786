"""Ctrl-C and its kin: whatever moment it comes, what was started is stopped."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from fleetfold_runtime.stopping import cancelled

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedBySignal(Exception):  # noqa: N818 - it is no error: somebody wanted it
    """A signal came."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


class Stop:
    """The first SIGINT, SIGTERM or SIGHUP that came. A second one changes nothing: every clean-up has its limits."""

    def __init__(self) -> None:
        """Listen. The event loop must run."""
        self._received: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        for number in SIGNALS:
            # Started by `nohup` it is meant to outlive its terminal.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, self._receive, number)

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Run some work to its end. Whatever has to be cleaned up in any case stands around this call, not in the work.

        Raises:
            StoppedBySignal: a signal came before, and the work has been cancelled.
        """
        running = asyncio.ensure_future(work)
        try:
            await asyncio.wait({running, self._received}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                return running.result()
            raise StoppedBySignal(self._received.result())
        finally:
            await cancelled(running)

    def _receive(self, number: signal.Signals) -> None:
        if not self._received.done():
            self._received.set_result(number)


def run_stoppable(main: Callable[[Stop], Awaitable[None]]) -> None:
    """Run to the end, with a stop that signals set.

    Raises:
        StoppedBySignal: a signal came, and the clean-up is done.
    """

    async def run() -> None:
        await main(Stop())

    try:
        asyncio.run(run())
    except StoppedBySignal:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # An impatient second Ctrl-C finds nothing left to stop.
        raise
