"""A clock that a test moves."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """See `Clock`. It stands still until it is moved."""

    def __init__(self) -> None:
        self._s = 1000.0

    def now(self) -> datetime:
        """The wall's time."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._s)

    def monotonic_s(self) -> float:
        """Seconds from some fixed moment."""
        return self._s

    def passes(self, seconds: float) -> None:
        """Let time go by."""
        self._s += seconds
