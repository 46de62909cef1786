"""`fleetfold place`, `release`, `placements`, `why`."""

import uuid
from typing import Annotated, cast

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.documents import Document, given, read_json, typed_command, with_command_id
from fleetfold_cli.exits import ExitCode
from fleetfold_cli.options import AsJson, Pool, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.placements import decision, explanation, placements_table
from fleetfold_cli.sizes import parse_size
from fleetfold_client import Fleet
from fleetfold_contracts.commands import Place
from fleetfold_contracts.events import PlacementDecided, PlacementQueued, PlacementRefused
from fleetfold_contracts.ids import DEFAULT_POOL
from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.placing import PlacementStrategy

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
    priority: Annotated[int | None, typer.Option(help="The higher, the earlier: -1000 to 1000.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose quota it counts against.")] = None,
    strategy: Annotated[PlacementStrategy | None, typer.Option(help="By what it chooses; else by score.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Where it does not fit now: let it wait in the queue.")] = False,
    deadline_s: Annotated[float | None, typer.Option(help="Let it wait so long at most.")] = None,
    preempt: Annotated[bool, typer.Option("--preempt", help="Let less important ones make room.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and change nothing.")] = False,
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
        priority=priority,
        tenant=tenant,
        pool=pool,
    )
    how = given(strategy=strategy, wait=wait, deadline_s=deadline_s, preempt=preempt, dry_run=dry_run)
    document = with_command_id(_document(file, described) | how, command_id)
    command = typed_command("place", Place, document)
    outcome = ask(ctx, server, root, lambda fleet: _placed(fleet, command))
    show(event_document(outcome), decision(outcome, dry_run=command.dry_run), as_json=as_json)
    if isinstance(outcome, PlacementRefused):
        raise typer.Exit(ExitCode.REFUSED)


async def _placed(fleet: Fleet, command: Place) -> PlacementDecided | PlacementRefused | PlacementQueued:
    if command.dry_run:
        return await fleet.preview(command)
    return await fleet.place(
        command.workload,
        strategy=command.strategy,
        wait=command.wait,
        deadline_s=command.deadline_s,
        preempt=command.preempt,
        command_id=command.command_id,
    )


def _shards(count: int | None, shard: Document) -> list[Document]:
    return [shard] * (count or 1) if count or shard else []


def _document(file: str | None, described: Document) -> Document:
    if file is None and not described:
        raise typer.BadParameter("nothing to place: give a FILE, '-', or such as --shards 4 --shard-memory 8GiB")
    if file is not None and described:
        raise typer.BadParameter("give a FILE or options that describe a workload, not both")
    if file is None:
        return {"workload": {"workload_id": f"workload-{uuid.uuid4().hex[:8]}"} | described}
    document = read_json(file)
    if isinstance(document, dict) and "workload" in document:
        return cast("Document", document)
    return {"workload": document}


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
