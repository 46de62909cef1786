"""`fleetfold history`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import show
from fleetfold_cli.render.history import history_table
from fleetfold_cli.times import parse_duration, parse_time
from fleetfold_contracts.history import HistoryQuery, Resolution

app = typer.Typer()


@app.command()
def history(
    ctx: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="As 'fleetfold devices' shows it.")],
    last: Annotated[
        timedelta | None, typer.Option(parser=parse_duration, metavar="SPAN", help="So far back: 15m, 2h, 7d; else 1h.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option(parser=parse_time, metavar="TIME", help="Up to then, such as 2026-03-14T12:00.")
    ] = None,
    by: Annotated[Resolution | None, typer.Option(help="Else as fine as the span allows.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show what a device read: each sample, or by the minute or the hour. What was not read is shown as n/a."""
    start = (end or datetime.now(UTC)) - last if last is not None else None
    query = HistoryQuery(device_id=device, start=start, end=end, resolution=by)
    answer = ask(ctx, server, root, lambda fleet: fleet.history(query))
    show(answer, history_table(answer), as_json=as_json)
