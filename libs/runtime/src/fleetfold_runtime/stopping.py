"""Stopping in good order: what is in hand is finished, nothing more is taken."""

import asyncio
import signal
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, TypeVar

T = TypeVar("T")

CANCEL_AGAIN_AFTER_S = 0.5


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def until(stop: asyncio.Event, source: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """What `source` gives, until `stop` is set. Then the source is closed, so that it gives back what it holds."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        async with aclosing(source):
            while (following := await _next_unless(stopped, source)) is not None:
                yield following.result()
    except StopAsyncIteration:
        return
    finally:
        stopped.cancel()


async def _next_unless(
    stopped: asyncio.Future[Literal[True]], source: AsyncGenerator[T, None]
) -> asyncio.Future[T] | None:
    following = asyncio.ensure_future(anext(source))
    try:
        await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancelled(following)  # a generator that still runs cannot be closed
    return None if following.cancelled() else following


@asynccontextmanager
async def background(*running: Coroutine[None, None, None]) -> AsyncGenerator[None]:
    """Run these beside the block and cancel them at its end. When one of them fails, so does the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in running]
        try:
            yield
        finally:
            await cancelled(*tasks)


async def unless_stopped(stop: asyncio.Event, awaited: Awaitable[T]) -> T | None:
    """What is awaited, or None when `stop` is set before."""
    waiting = asyncio.ensure_future(awaited)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        await cancelled(stopped, waiting)


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks until all have ended.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which the NATS client uses, swallows a cancellation that
    comes at the moment when what it waits for is there.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_AFTER_S)


async def sleep_unless(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but wake at once when `stop` is set. True: it was."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
