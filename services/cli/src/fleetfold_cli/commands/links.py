"""`fleetfold links`, `fleetfold links probe`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import show
from fleetfold_cli.render.links import links_table, probed
from fleetfold_cli.sizes import parse_size
from fleetfold_contracts.agents import MAX_PROBE_BYTES, USUAL_PROBE_BYTES
from fleetfold_contracts.answers import LinksQuery

app = typer.Typer()
links = typer.Typer(invoke_without_command=True)
app.add_typer(links, name="links")


def _probe_size(text: str) -> int:
    size = parse_size(text)
    if not 1 <= size <= MAX_PROBE_BYTES:
        raise typer.BadParameter(f"{text!r} is not within 1B and {MAX_PROBE_BYTES // 1024**3}GiB")
    return size


@links.callback()
def every(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Option(help="Only those that this node sees.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show the links between devices, and between nodes."""
    if ctx.invoked_subcommand is not None:
        return
    answer = ask(ctx, server, root, lambda fleet: fleet.links(LinksQuery(node_id=node)))
    show(answer, links_table(answer), as_json=as_json)


@links.command()
def probe(
    ctx: typer.Context,
    sender: Annotated[str, typer.Argument(metavar="NODE", help="The node that sends.")],
    peer: Annotated[str, typer.Argument(metavar="PEER", help="The node that counts what arrives.")],
    size: Annotated[
        int | None, typer.Option("--bytes", parser=_probe_size, metavar="SIZE", help="Send so many; else 64MiB.")
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Measure what a TCP connection between two nodes carries, for two seconds at most."""
    answer = ask(ctx, server, root, lambda fleet: fleet.probe(sender, peer, byte_count=size or USUAL_PROBE_BYTES))
    show(answer, probed(answer), as_json=as_json)
