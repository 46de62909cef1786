"""Stopping in good order: what is in hand is finished, nothing more is taken."""

import asyncio
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar, cast

T = TypeVar("T")


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def until(stop: asyncio.Event, source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """What `source` gives, until `stop` is set. Then the source is closed, so that it gives back what it holds."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        async with aclosing(cast("AsyncGenerator[T, None]", source)):
            while not stop.is_set():
                following = asyncio.ensure_future(anext(source))
                await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.wait({following})
                if following.cancelled():
                    return
                try:
                    yield following.result()
                except StopAsyncIteration:
                    return
    finally:
        stopped.cancel()


@asynccontextmanager
async def background(*running: Coroutine[None, None, None]) -> AsyncGenerator[None]:
    """Run these beside the block and cancel them at its end. When one of them fails, so does the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in running]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def unless_stopped(stop: asyncio.Event, awaited: Awaitable[T]) -> T | None:
    """What is awaited, or None when `stop` is set before."""
    waiting = asyncio.ensure_future(awaited)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        stopped.cancel()
        waiting.cancel()


async def sleep_unless(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but wake at once when `stop` is set. True: it was."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
