"""`fleetfold state`, `replay`, `export`: what the log says."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from fleetfold_bus.port import Bus
from fleetfold_cli.asking import ask, read_log
from fleetfold_cli.exits import ExitCode, leave
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import show
from fleetfold_cli.render.state import replayed, state_tables
from fleetfold_cli.render.words import count
from fleetfold_cli.times import parse_time
from fleetfold_contracts.answers import StateAnswer
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.facts import digests
from fleetfold_core.state import State
from fleetfold_core.views.cluster import cluster
from fleetfold_runtime.log_file import write_log
from fleetfold_runtime.past import Past, PastError

app = typer.Typer()


def _moment(text: str) -> int | datetime:
    return int(text) if text.isdecimal() else parse_time(text)


@app.command()
def state(
    ctx: typer.Context,
    at: Annotated[
        str | None,
        typer.Option(metavar="SEQ|TIME", help="As it was at a log position, or a time such as 2026-03-14T12:00."),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show the cluster: its figures, nodes and placements. With --at, as it was then, folded from the log.

    Readings are those of then while the server keeps them, which is an hour; before that there are none.
    """
    answer = (
        ask(ctx, server, root, lambda fleet: fleet.state()) if at is None else _state_at(ctx, server, root, _moment(at))
    )
    show(answer, state_tables(answer), as_json=as_json)


def _state_at(ctx: typer.Context, server: str | None, root: str | None, at: int | datetime) -> StateAnswer:
    async def folded(bus: Bus, subjects: Subjects) -> StateAnswer:
        return cluster(await Past(bus, subjects).at(at))

    try:
        return read_log(ctx, server, root, folded)
    except PastError as error:
        leave(ExitCode.REJECTED, str(error))


@app.command()
def replay(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Fold the whole log anew, and say whether the projector holds the same. Ends with 1 where a part differs."""
    held = ask(ctx, server, root, lambda fleet: fleet.facts())

    async def folded(bus: Bus, subjects: Subjects) -> dict[str, str]:
        nothing = not held.position
        return digests(State() if nothing else await Past(bus, subjects).at(held.position, with_samples=False))

    anew = read_log(ctx, server, root, folded)
    different = sorted(part for part in anew.keys() | held.digests.keys() if anew.get(part) != held.digests.get(part))
    document = {"position": held.position, "same": not different, "different": different}
    show(document, replayed(held.position, anew, different), as_json=as_json)
    if different:
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON lines; compressed where the name ends in .gz.")],
    server: Server = None,
    root: Root = None,
) -> None:
    """Write the whole log to a file, a record a line. 'fleetfold up --from FILE' starts from it."""
    try:
        written = read_log(ctx, server, root, lambda bus, subjects: write_log(bus, subjects, file))
    except OSError as error:
        leave(ExitCode.FAILED, f"{file} cannot be written: {error.strerror or error}")
    typer.echo(f"{count(written, 'event')} in {file}")
