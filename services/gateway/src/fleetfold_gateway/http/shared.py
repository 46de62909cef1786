"""Answers shared between those who ask the same at the same time."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from fleetfold_contracts import codec
from fleetfold_runtime.clock import Clock

FRESH_S = 0.5
"""An answer is given again for so long: readings come every other second."""
MOST_KEPT = 32


class Positioned(Protocol):
    """An answer that says for which log position it stands."""

    @property
    def position(self) -> int:
        """The log position."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, encoded. `etag` is made of its bytes."""

    body: bytes
    etag: str
    position: int
    answered_at_s: float


class Shared:
    """Asks once for all who want to know the same."""

    def __init__(self, clock: Clock) -> None:
        """It knows nothing yet."""
        self._clock = clock
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Page]] = {}

    def at_hand(self, key: str, at_least: int) -> Page | None:
        """The answer, where a fresh one is there."""
        page = self._pages.get(key)
        if page is None or page.position < at_least or self._clock.monotonic_s() - page.answered_at_s > FRESH_S:
            return None
        return page

    async def page(self, key: str, at_least: int, ask: Callable[[], Awaitable[Positioned]]) -> Page:
        """The answer to what `key` names. `ask` gives one for `at_least` or later."""
        while (page := self.at_hand(key, at_least)) is None:
            asking = self._asking.get(key)
            if asking is None:
                asking = self._asking[key] = asyncio.create_task(self._ask(key, ask))
                return await asyncio.shield(asking)
            # Whoever asked before may have asked for an earlier position: what they get is looked at, no more.
            await asyncio.wait({asking})
        return page

    async def _ask(self, key: str, ask: Callable[[], Awaitable[Positioned]]) -> Page:
        try:
            answer = await ask()
            body = codec.encode(answer)
            etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            page = Page(body, etag, answer.position, self._clock.monotonic_s())
            self._pages[key] = page
            self._pages.move_to_end(key)
            if len(self._pages) > MOST_KEPT:
                self._pages.popitem(last=False)
            return page
        finally:
            del self._asking[key]
