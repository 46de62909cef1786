"""Keeping a stack up: what ends by itself is noticed, said, and started again."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from fleetfold_cli.stack.errors import ServiceFailedError, StackError
from fleetfold_runtime.stopping import cancelled

T = TypeVar("T")

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
"""Whoever has run for so long did not end because of how it was started."""


class Part(Protocol):
    """A process of the stack: NATS, or a service."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def log_file(self) -> Path:
        """Where it says what was the matter."""
        ...

    async def start(self) -> None:
        """Start it.

        Raises:
            StackError: it does not start.
        """
        ...

    async def ended(self) -> int:
        """Wait until it ends. Gives its exit code, or the negative number of the signal that ended it."""
        ...


async def keep_running(part: Part, say: Callable[[str], None]) -> NoReturn:
    """Start a part again whenever it ends, after ever longer pauses."""
    pause_s = FIRST_PAUSE_S
    while True:
        watched_from_s = time.monotonic()
        code = await part.ended()
        if time.monotonic() - watched_from_s > STEADY_AFTER_S:
            pause_s = FIRST_PAUSE_S
        say(f"{part.name} ended by itself ({code}); it starts again in {pause_s:g} s. Its log: {part.log_file}")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        try:
            await part.start()
        except StackError as error:
            say(str(error))


async def unless_one_ends(parts: Iterable[Part], main: Coroutine[Any, Any, T]) -> T:
    """Run `main` while all of these parts live.

    Raises:
        ServiceFailedError: one of them ended by itself.
    """
    running = asyncio.ensure_future(main)
    endings = {asyncio.ensure_future(part.ended()): part for part in parts}
    tasks: set[asyncio.Future[Any]] = {running, *endings}
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if running in ended:
            return running.result()
        ending = next(task for task in endings if task in ended)
        part = endings[ending]
        raise ServiceFailedError(part.name, f"ended by itself ({ending.result()})", part.log_file)
    finally:
        await cancelled(*tasks)
