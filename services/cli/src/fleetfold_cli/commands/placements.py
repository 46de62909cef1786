"""`fleetfold place`, `release`, `placements`, `why`."""

import uuid
from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.documents import Document, given, read_json, typed_command, with_command_id
from fleetfold_cli.exits import ExitCode
from fleetfold_cli.options import AsJson, Pool, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.placements import decision, explanation, placements_table
from fleetfold_cli.sizes import parse_size
from fleetfold_contracts.commands import Place
from fleetfold_contracts.events import PlacementRefused
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.inventory import DeviceType, Vendor

app = typer.Typer()

WorkloadId = Annotated[str, typer.Argument(metavar="WORKLOAD", help="Its id.")]


@app.command()
def place(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="JSON: a workload, or what fleet.cmd.place takes.")
    ] = None,
    workload_id: Annotated[str | None, typer.Option("--id", help="Its id; else one is made up.")] = None,
    shards: Annotated[int | None, typer.Option(min=1, help="How many equal shards.")] = None,
    shard_memory: Annotated[
        int | None, typer.Option(parser=parse_size, metavar="SIZE", help="What a shard needs, such as 8GiB.")
    ] = None,
    gpu_milli: Annotated[int | None, typer.Option(help="Thousandths of a GPU a shard; 1000 takes it whole.")] = None,
    cpu_milli: Annotated[int | None, typer.Option(help="Thousandths of a CPU on the node.")] = None,
    host_memory: Annotated[
        int | None, typer.Option(parser=parse_size, metavar="SIZE", help="What it needs of the node's own memory.")
    ] = None,
    device_type: Annotated[list[DeviceType] | None, typer.Option("--type", help="Only on such devices.")] = None,
    vendor: Annotated[list[Vendor] | None, typer.Option(help="Only on devices of these vendors.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Only on these models, such as A10.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Only on these devices.")] = None,
    node: Annotated[list[str] | None, typer.Option(help="Only on these nodes.")] = None,
    not_device: Annotated[list[str] | None, typer.Option(help="Never on these devices.")] = None,
    not_node: Annotated[list[str] | None, typer.Option(help="Never on these nodes.")] = None,
    same_node: Annotated[bool, typer.Option("--same-node", help="All shards on one node.")] = False,
    share_device: Annotated[bool, typer.Option("--share-device", help="Several shards may share a device.")] = False,
    pool: Annotated[str | None, typer.Option(help="The ledger to place in.")] = None,
    command_id: Annotated[str | None, typer.Option(help="With the same one it is done once.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Put a workload on devices, whole or not at all: from a file, from standard input, or as the options say."""
    described = given(
        shards=_shards(shards, given(memory_bytes=shard_memory, gpu_milli=gpu_milli)),
        host=given(cpu_milli=cpu_milli, memory_bytes=host_memory),
        constraints=given(
            device_types=device_type,
            vendors=vendor,
            models=model,
            devices=device,
            nodes=node,
            forbidden_devices=not_device,
            forbidden_nodes=not_node,
            same_node=same_node,
        )
        | ({"one_shard_per_device": False} if share_device else {}),
        workload_id=workload_id,
        pool=pool,
    )
    document = with_command_id(_document(file, described), command_id)
    command = typed_command("place", Place, document)
    outcome = ask(ctx, server, root, lambda fleet: fleet.place(command.workload, command_id=command.command_id))
    show(event_document(outcome), decision(outcome), as_json=as_json)
    if isinstance(outcome, PlacementRefused):
        raise typer.Exit(ExitCode.REFUSED)


def _shards(count: int | None, shard: Document) -> list[Document]:
    return [shard] * (count or 1) if count or shard else []


def _document(file: str | None, described: Document) -> object:
    if file is None and not described:
        raise typer.BadParameter("nothing to place: give a FILE, '-', or such as --shards 4 --shard-memory 8GiB")
    if file is not None and described:
        raise typer.BadParameter("give a FILE or options that describe a workload, not both")
    if file is None:
        return {"workload": {"workload_id": f"workload-{uuid.uuid4().hex[:8]}"} | described}
    document = read_json(file)
    return document if _is_command(document) else {"workload": document}


def _is_command(document: object) -> bool:
    return isinstance(document, dict) and "workload" in document


@app.command()
def release(
    ctx: typer.Context,
    workload: WorkloadId,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Give back what a workload holds."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.release(workload, pool=pool))
    show(event_document(outcome), f"released: {workload}", as_json=as_json)


@app.command()
def placements(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Show what sits where."""
    answer = ask(ctx, server, root, lambda fleet: fleet.state())
    document = {"position": answer.position, "placements": answer.placements}
    show(document, placements_table(answer.placements), as_json=as_json)


@app.command()
def why(
    ctx: typer.Context,
    workload: WorkloadId,
    pool: Pool = DEFAULT_POOL,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Say why a workload sits where it sits, or why it sits nowhere."""
    answer = ask(ctx, server, root, lambda fleet: fleet.explain(workload, pool=pool))
    show(answer, explanation(answer), as_json=as_json)
