"""One who listens: frames wait for it, up to a limit."""

import asyncio
from collections import deque

MAX_WAITING_BYTES = 4 * 1024 * 1024


class Listener:
    """What is offered waits here until it is taken. Who lets too much of it wait is sent away, and hears why."""

    def __init__(self, *, with_samples: bool, limit_bytes: int = MAX_WAITING_BYTES) -> None:
        """`with_samples`: it hears readings too, not only the log."""
        self.with_samples = with_samples
        self.ended: str | None = None
        """Why it hears no more."""
        self._limit_bytes = limit_bytes
        self._frames: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._offered = asyncio.Event()

    def offer(self, frame: bytes) -> None:
        """Let a frame wait, unless too many do."""
        if self.ended is not None:
            return
        self._waiting_bytes += len(frame)
        if self._waiting_bytes > self._limit_bytes:
            self._frames.clear()
            self.end("too much waits to be read")
        else:
            self._frames.append(frame)
            self._offered.set()

    def end(self, reason: str) -> None:
        """Let it hear what waits, and no more."""
        self.ended = reason
        self._offered.set()

    async def take(self, *, within_s: float) -> bytes:
        """All frames that wait, as one; nothing when none came in time, or when it has ended."""
        try:
            async with asyncio.timeout(within_s):
                await self._offered.wait()
        except TimeoutError:
            return b""
        self._offered.clear()
        taken = b"".join(self._frames)
        self._frames.clear()
        self._waiting_bytes = 0
        return taken
