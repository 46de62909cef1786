"""How the demo tells of its steps: a spinner on a terminal, and everywhere a line when a step is done."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status


class Step:
    """A step under way. `outcome` is told when it is done."""

    def __init__(self, title: str, spinner: Status) -> None:
        self.outcome = ""
        self._title = title
        self._spinner = spinner

    def tell(self, progress: str) -> None:
        """Say how far it is."""
        self._spinner.update(f"{self._title}: {progress}")


class Stage:
    """Runs steps and remembers how long each took."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.durations_s: dict[str, float] = {}

    @contextmanager
    def step(self, title: str) -> Generator[Step, None, None]:
        """A step, timed and told of. One that fails is told of by whoever catches its error."""
        began_s = time.monotonic()
        # Away from a terminal the spinner shows nothing, and only the line remains.
        with self.screen.status(title) as spinner:
            step = Step(title, spinner)
            yield step
        self.durations_s[title] = time.monotonic() - began_s
        self.screen.print(f"✓ {title}: {step.outcome}  ({self.durations_s[title]:.1f} s)")
