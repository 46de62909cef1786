"""`fleetfold watch`."""

import asyncio
import sys
from contextlib import aclosing, suppress
from typing import Annotated

import msgspec
import typer

from fleetfold_cli.asking import CONNECT_WITHIN_S, cluster_of, errors_as_exit_codes
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import console, print_json
from fleetfold_cli.render.events import event_line
from fleetfold_cli.settings import Settings
from fleetfold_client import Fleet, Happened

app = typer.Typer()


@app.command()
def watch(
    ctx: typer.Context,
    after: Annotated[int | None, typer.Option(min=0, help="Begin behind this log position; 0 tells all.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Tell events as they happen, until Ctrl-C. With --json, each is its envelope and its `sequence`."""
    cluster = cluster_of(ctx, server, root)
    with suppress(KeyboardInterrupt), errors_as_exit_codes():
        asyncio.run(_watch(cluster, after, as_json=as_json))


async def _watch(cluster: Settings, after: int | None, *, as_json: bool) -> None:
    async with Fleet.connect(cluster.server, root=cluster.root, wait_s=CONNECT_WITHIN_S) as fleet:
        start = await fleet.position() if after is None else after
        sys.stderr.write(f"events of {cluster.root} behind position {start}; Ctrl-C ends\n")
        async with aclosing(fleet.watch(start)) as happenings:
            async for happened in happenings:
                if as_json:
                    print_json(_document(happened))
                else:
                    console().print(event_line(happened))


def _document(happened: Happened) -> dict[str, object]:
    return {**msgspec.structs.asdict(happened.envelope), "sequence": happened.record.sequence}
