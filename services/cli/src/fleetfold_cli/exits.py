"""How a command ends: its exit code, and one line on stderr that says why."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer

from fleetfold_client.errors import FleetError, NoAnswerError, RejectedError, UnreachableError

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


@contextmanager
def errors_as_exit_codes(server: str) -> Generator[None, None, None]:
    """Turn what goes wrong between us and the fleet into an exit code and a line."""
    try:
        yield
    except UnreachableError as error:
        leave(ExitCode.NO_ANSWER, f"{error}; start one with 'fleetfold up', or name yours with --server")
    except NoAnswerError as error:
        leave(ExitCode.NO_ANSWER, f"nothing answers at {server}: {error}; are the services running?")
    except RejectedError as error:
        leave(ExitCode.REJECTED, str(error))
    except FleetError as error:
        leave(ExitCode.FAILED, str(error))
