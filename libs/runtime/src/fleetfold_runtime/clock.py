"""The clock: read here, handed in everywhere else."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """The wall's time, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from some fixed moment; they never go back."""
        ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """The wall's time, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds from some fixed moment; they never go back."""
        return time.monotonic()
