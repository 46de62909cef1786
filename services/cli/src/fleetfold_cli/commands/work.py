"""`fleetfold distribute`."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.documents import given, read_values, typed_command
from fleetfold_cli.exits import ExitCode
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.work import distribution
from fleetfold_contracts.commands import Distribute, Strategy
from fleetfold_contracts.events import WorkDistributed
from fleetfold_contracts.inventory import DeviceType, Vendor

app = typer.Typer()


@app.command()
def distribute(
    ctx: typer.Context,
    count: Annotated[int | None, typer.Option(min=1, help="So many items without a body, numbered from 0.")] = None,
    items: Annotated[str | None, typer.Option(metavar="FILE|-", help="Items: a JSON array, or JSON lines.")] = None,
    strategy: Annotated[Strategy, typer.Option(help="How they are spread.")] = Strategy.UNIFORM,
    max_per_device: Annotated[int | None, typer.Option(min=0, help="At most so many a device.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Items handed to a worker at once.")] = None,
    to_workload: Annotated[str | None, typer.Option(metavar="WORKLOAD", help="Only where this one sits.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only to these devices.")] = None,
    device_type: Annotated[list[DeviceType] | None, typer.Option("--type", help="Only to such devices.")] = None,
    vendor: Annotated[list[Vendor] | None, typer.Option(help="Only to devices of these vendors.")] = None,
    work_id: Annotated[str | None, typer.Option("--id", help="The work's id; else one is made up.")] = None,
    command_id: Annotated[str | None, typer.Option(help="With the same one it is done once.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Spread work items over devices, for their workers to pull."""
    document = given(
        count=count,
        items=read_values(items) if items is not None else None,
        strategy=strategy,
        batch_size=batch_size,
        to=given(devices=device, workload_id=to_workload, device_types=device_type, vendors=vendor),
        work_id=work_id,
        command_id=command_id,
    )
    if max_per_device is not None:
        document["max_per_device"] = max_per_device
    command = typed_command("distribute", Distribute, document)
    outcome = ask(ctx, server, root, lambda fleet: fleet.do(command))
    assert isinstance(outcome, WorkDistributed)
    show(event_document(outcome), distribution(outcome), as_json=as_json)
    if outcome.unassigned:
        raise typer.Exit(ExitCode.REFUSED)
