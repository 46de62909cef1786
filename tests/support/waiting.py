"""Waiting for a condition, with a limit: what a test does instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable


async def eventually(
    holds: Callable[[], Awaitable[bool]], *, within_s: float = 20.0, what: str = "the condition"
) -> None:
    """Ask again and again until it holds.

    Raises:
        AssertionError: it did not within the limit.
    """
    try:
        async with asyncio.timeout(within_s):
            while not await holds():  # noqa: ASYNC110 - what is waited for is in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not come about within {within_s} s") from None
