"""`fleetfold devices`, `cordon`, `uncordon`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Pool, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.devices import devices_table
from fleetfold_contracts.answers import DevicesQuery
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.inventory import DeviceType, Vendor

app = typer.Typer()

DeviceId = Annotated[str, typer.Argument(metavar="DEVICE", help="As 'fleetfold devices' shows it.")]


@app.command()
def devices(
    ctx: typer.Context,
    vendor: Annotated[Vendor | None, typer.Option(help="Only of this vendor.")] = None,
    device_type: Annotated[DeviceType | None, typer.Option("--type", help="Only of this type.")] = None,
    node: Annotated[str | None, typer.Option(help="Only on this node.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show every device: what it is, what it reads, what is reserved on it."""
    query = DevicesQuery(vendor=vendor, device_type=device_type, node_id=node)
    answer = ask(ctx, server, root, lambda fleet: fleet.devices(query))
    show(answer, devices_table(answer), as_json=as_json)


@app.command()
def cordon(
    ctx: typer.Context,
    device: DeviceId,
    reason: Annotated[str, typer.Option(help="Shown to whoever asks.")] = "",
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Let nothing new sit on a device. What is there stays."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.cordon(device, reason=reason, pool=pool))
    show(event_document(outcome), f"cordoned: {device}", as_json=as_json)


@app.command()
def uncordon(
    ctx: typer.Context,
    device: DeviceId,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Take a cordon back."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.uncordon(device, pool=pool))
    show(event_document(outcome), f"uncordoned: {device}", as_json=as_json)
