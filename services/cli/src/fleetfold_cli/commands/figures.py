"""`fleetfold aggregate`, `topology`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import show
from fleetfold_cli.render.figures import aggregate_table, topology_tables
from fleetfold_contracts.figures import TopologyQuery

app = typer.Typer()


@app.command()
def aggregate(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Show the cluster in figures: memory, averages, power, and the same by vendor and by pool."""
    answer = ask(ctx, server, root, lambda fleet: fleet.aggregate())
    show(answer, aggregate_table(answer), as_json=as_json)


@app.command()
def topology(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Option(help="Only this node.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show what hangs together: nodes, links by kind, the diameter, the bottleneck."""
    answer = ask(ctx, server, root, lambda fleet: fleet.topology(TopologyQuery(node_id=node)))
    show(answer, topology_tables(answer), as_json=as_json)
