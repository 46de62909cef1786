"""Ctrl-C and its kin: whatever moment it comes, what was started is stopped."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedBySignal(Exception):  # noqa: N818 - it is no error: somebody wanted it
    """A signal came, and everything is cleaned up."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


def run_stoppable(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, or until SIGINT, SIGTERM or SIGHUP; then it is cancelled once, and cleans up undisturbed.

    Raises:
        StoppedBySignal: a signal came, and the clean-up is done.
    """
    try:
        return asyncio.run(_stoppable(main))
    except StoppedBySignal:
        # An impatient second Ctrl-C finds nothing left to stop.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise


async def _stoppable(main: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(main)
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        # A second one must not cancel the clean-up itself, which has limits of its own.
        if not received:
            running.cancel()
        received.append(number)

    for number in SIGNALS:
        # Started by `nohup` it is meant to outlive its terminal.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number)
    try:
        return await running
    except asyncio.CancelledError:
        if not received:
            raise
        raise StoppedBySignal(received[0]) from None
