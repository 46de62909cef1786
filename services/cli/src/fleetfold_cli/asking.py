"""Asking the fleet from a command: connect, ask, leave."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, cast

import typer

from fleetfold_bus import port
from fleetfold_bus.port import Bus
from fleetfold_cli.exits import ExitCode, leave
from fleetfold_cli.settings import Settings
from fleetfold_client import Fleet, FleetError, NoAnswerError, RejectedError, UnreachableError
from fleetfold_contracts.ids import check_token
from fleetfold_contracts.subjects import Subjects

CONNECT_WITHIN_S = 0.5

T = TypeVar("T")


def ask(ctx: typer.Context, server: str | None, root: str | None, question: Callable[[Fleet], Awaitable[T]]) -> T:
    """What the fleet answers; the command ends here when there is no answer."""
    cluster = cluster_of(ctx, server, root)

    async def asked() -> T:
        async with Fleet.connect(cluster.server, root=cluster.root, wait_s=CONNECT_WITHIN_S) as fleet:
            return await question(fleet)

    with errors_as_exit_codes():
        return asyncio.run(asked())


def read_log(
    ctx: typer.Context, server: str | None, root: str | None, work: Callable[[Bus, Subjects], Awaitable[T]]
) -> T:
    """What comes of the log itself; the command ends here when it cannot be read."""
    cluster = cluster_of(ctx, server, root)
    subjects = Subjects(cluster.root)

    async def done() -> T:
        from fleetfold_bus.nats import NatsBus  # noqa: PLC0415 - it takes 0.2 s to import

        bus = await NatsBus.connect(cluster.server, subjects=subjects, name="cli", wait_s=CONNECT_WITHIN_S)
        try:
            return await work(bus, subjects)
        finally:
            await bus.close()

    try:
        return asyncio.run(done())
    except port.UnreachableError as error:
        leave(ExitCode.NO_ANSWER, f"{error}; start one with 'fleetfold up', or name yours with --server")
    except port.BusError as error:
        leave(ExitCode.FAILED, f"the log cannot be read: {error}")


def cluster_of(ctx: typer.Context, server: str | None, root: str | None) -> Settings:
    """Whom to ask: as typed, else as set."""
    settings = cast("Settings", ctx.obj)
    cluster = replace(settings, server=server or settings.server, root=root or settings.root)
    try:
        check_token(cluster.root)
    except ValueError as error:
        leave(ExitCode.REJECTED, f"the root {error}: use letters, digits, '_' and '-'")
    return cluster


@contextmanager
def errors_as_exit_codes() -> Generator[None, None, None]:
    """Turn what goes wrong between us and the fleet into an exit code and a line."""
    try:
        yield
    except UnreachableError as error:
        leave(ExitCode.NO_ANSWER, f"{error}; start one with 'fleetfold up', or name yours with --server")
    except NoAnswerError as error:
        leave(ExitCode.NO_ANSWER, f"no answer: {error}; are the services running?")
    except RejectedError as error:
        leave(ExitCode.REJECTED, str(error))
    except FleetError as error:
        leave(ExitCode.FAILED, str(error))
