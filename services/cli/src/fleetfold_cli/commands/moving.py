"""`fleetfold queue`, `move`, `drain`, `rebalance`, `quota`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.exits import ExitCode
from fleetfold_cli.options import ADevice, ANode, AsJson, Pool, Root, Server, device_or_node
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.events import outcome_line
from fleetfold_cli.render.moving import moves_table, queue_table
from fleetfold_cli.sizes import parse_size
from fleetfold_contracts.commands import Drain, Quota, Rebalance
from fleetfold_contracts.events import PlacementRefused, RebalanceProposed
from fleetfold_contracts.ids import DEFAULT_POOL

app = typer.Typer()


@app.command()
def queue(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Show who waits for a place, the first first."""
    answer = ask(ctx, server, root, lambda fleet: fleet.state())
    degraded = [placement for placement in answer.placements if placement.degraded is not None]
    document = {"position": answer.position, "degraded": degraded, "queue": answer.queue}
    show(document, queue_table(degraded, answer.queue), as_json=as_json)


@app.command()
def move(
    ctx: typer.Context,
    workload: Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its id.")],
    off_device: Annotated[list[str] | None, typer.Option(help="Off these devices; else off all it sits on.")] = None,
    off_node: Annotated[list[str] | None, typer.Option(help="Off these nodes.")] = None,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Put a placed workload elsewhere. What need not move stays."""
    devices, nodes = off_device or (), off_node or ()
    outcome = ask(
        ctx, server, root, lambda fleet: fleet.move(workload, avoid_devices=devices, avoid_nodes=nodes, pool=pool)
    )
    show(event_document(outcome), outcome_line(outcome), as_json=as_json)
    if isinstance(outcome, PlacementRefused):
        raise typer.Exit(ExitCode.REFUSED)


@app.command()
def drain(
    ctx: typer.Context,
    device: ADevice = None,
    node: ANode = None,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks.")] = "",
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Let nothing new sit on a device, or a node, and move off what is there. 'uncordon' ends it."""
    device_or_node(device, node)
    command = Drain(device_id=device, node_id=node, reason=reason, pool=pool)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    show(event_document(outcome), outcome_line(outcome), as_json=as_json)


@app.command()
def rebalance(
    ctx: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="Move them too.")] = False,
    max_moves: Annotated[int, typer.Option(min=1, max=100, help="So many moves at most.")] = 10,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show which placements would sit better elsewhere, and by how much."""
    command = Rebalance(apply=apply, max_moves=max_moves, pool=pool)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    assert isinstance(outcome, RebalanceProposed)
    show(event_document(outcome), moves_table(outcome), as_json=as_json)


@app.command()
def quota(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="As its workloads name it.")],
    gpu_milli: Annotated[int | None, typer.Option(min=0, help="Thousandths of GPUs; absent: no limit.")] = None,
    memory: Annotated[
        int | None, typer.Option(parser=parse_size, metavar="SIZE", help="Memory of devices; absent: no limit.")
    ] = None,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Limit what all workloads of a tenant may hold together. Without a limit, take the quota back."""
    command = Quota(tenant=tenant, gpu_milli=gpu_milli, memory_bytes=memory, pool=pool)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    show(event_document(outcome), outcome_line(outcome), as_json=as_json)
