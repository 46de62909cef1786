"""`fleetfold devices`, `cordon`, `uncordon`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.documents import typed_labels
from fleetfold_cli.options import ADevice, ANode, AsJson, Pool, Root, Server, device_or_node
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.devices import devices_table
from fleetfold_cli.sizes import parse_size
from fleetfold_contracts.answers import DeviceOrder, DevicesQuery, DeviceStatus
from fleetfold_contracts.commands import Cordon, Uncordon
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.inventory import DeviceType, Vendor

app = typer.Typer()


@app.command()
def devices(
    ctx: typer.Context,
    vendor: Annotated[Vendor | None, typer.Option(help="Only of this vendor.")] = None,
    device_type: Annotated[DeviceType | None, typer.Option("--type", help="Only of this type.")] = None,
    node: Annotated[str | None, typer.Option(help="Only on this node.")] = None,
    pool: Annotated[str | None, typer.Option(help="Only in this pool.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with this label, or on a node that has it.")
    ] = None,
    status: Annotated[DeviceStatus | None, typer.Option(help="Only those that are so.")] = None,
    min_free: Annotated[
        int | None, typer.Option(parser=parse_size, metavar="SIZE", help="Only with so much memory free, such as 8GiB.")
    ] = None,
    sort: Annotated[DeviceOrder, typer.Option(help="By id, or the best score first.")] = DeviceOrder.ID,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show devices: what each is, what it reads, what is reserved on it. Options narrow down which."""
    query = DevicesQuery(
        vendor=vendor,
        device_type=device_type,
        node_id=node,
        pool=pool,
        labels=typed_labels(label or []),
        status=status,
        min_free_bytes=min_free or 0,
        sort=sort,
        limit=limit,
    )
    answer = ask(ctx, server, root, lambda fleet: fleet.devices(query))
    show(answer, devices_table(answer), as_json=as_json)


@app.command()
def cordon(
    ctx: typer.Context,
    device: ADevice = None,
    node: ANode = None,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks.")] = "",
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Let nothing new sit on a device, or a node. What is there stays."""
    place = device_or_node(device, node)
    command = Cordon(device_id=device, node_id=node, reason=reason, pool=pool)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    show(event_document(outcome), f"cordoned: {place}", as_json=as_json)


@app.command()
def uncordon(
    ctx: typer.Context,
    device: ADevice = None,
    node: ANode = None,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Take a cordon back, or end a drain."""
    place = device_or_node(device, node)
    command = Uncordon(device_id=device, node_id=node, pool=pool)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    show(event_document(outcome), f"uncordoned: {place}", as_json=as_json)
