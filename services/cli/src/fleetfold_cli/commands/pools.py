"""`fleetfold pools`, `transfer`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.pools import pools_table
from fleetfold_cli.render.words import names
from fleetfold_contracts.ids import DEFAULT_POOL

app = typer.Typer()


@app.command()
def pools(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Show the pools. What is in one pool shares a ledger: a workload is placed within its pool alone."""
    answer = ask(ctx, server, root, lambda fleet: fleet.state())
    show({"position": answer.position, "pools": answer.pools}, pools_table(answer), as_json=as_json)


@app.command()
def transfer(
    ctx: typer.Context,
    nodes: Annotated[list[str], typer.Argument(metavar="NODE...", help="Each goes with all its devices.")],
    to: Annotated[str, typer.Option(metavar="POOL", help="Where to. A pool is there as soon as a node is in it.")],
    pool: Annotated[str, typer.Option(help="The pool that they leave.")] = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Move nodes to another pool. Nothing may sit on them: release it, or drain them first."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.transfer(nodes, to, pool=pool))
    show(event_document(outcome), f"transferred: {names(nodes)} from {pool} to {to}", as_json=as_json)
