"""How a command ends: its exit code, and one line on stderr that says why."""

import sys
from enum import IntEnum
from typing import NoReturn

import typer

SIGNAL_BASE = 128
"""A command that a signal stopped ends with this and the signal's number, as the shell says it."""


class ExitCode(IntEnum):
    """What a script may branch on."""

    DONE = 0
    FAILED = 1
    REJECTED = 2
    """Typed or asked wrongly: the shape, the bounds, a name that does not exist."""
    NO_ANSWER = 3
    REFUSED = 4
    """Understood, but it does not fit."""


def leave(code: ExitCode, message: str) -> NoReturn:
    """End the command with one line on stderr."""
    sys.stderr.write(f"fleetfold: {message}\n")
    raise typer.Exit(code)
