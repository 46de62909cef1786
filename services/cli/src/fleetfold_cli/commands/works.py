"""`fleetfold work`: how works stand, what has failed, trying it anew, and taking back what is not started."""

from typing import Annotated

import typer

from fleetfold_cli.asking import ask
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import event_document, show
from fleetfold_cli.render.words import count
from fleetfold_cli.render.work import failed_table, items_in, shares_table, works_table

app = typer.Typer()
group = typer.Typer(help="How works stand, what has failed, and what to do about it.", no_args_is_help=True)
app.add_typer(group, name="work")

WorkId = Annotated[str, typer.Argument(metavar="WORK", help="The work's id.")]
CommandId = Annotated[str | None, typer.Option(help="With the same one it is done once.")]


@group.command("list")
def list_works(
    ctx: typer.Context,
    work_id: Annotated[str | None, typer.Argument(metavar="WORK", help="This one, device by device.")] = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Show works, the newest first, or what each device has of one."""
    answer = ask(ctx, server, root, lambda fleet: fleet.works(work_id))
    show(answer, works_table(answer.works) if work_id is None else shares_table(answer), as_json=as_json)


@group.command()
def failed(
    ctx: typer.Context, work_id: WorkId, as_json: AsJson = False, server: Server = None, root: Root = None
) -> None:
    """Show the items of a work that have failed for good, each with its story."""
    answer = ask(ctx, server, root, lambda fleet: fleet.failed(work_id))
    show(answer, failed_table(answer), as_json=as_json)


@group.command()
def retry(
    ctx: typer.Context,
    work_id: WorkId,
    item: Annotated[list[int] | None, typer.Option(help="Only this item, by its place; may be repeated.")] = None,
    command_id: CommandId = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Try items that have failed for good once more."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.retry_work(work_id, item or (), command_id=command_id))
    show(event_document(outcome), f"{count(items_in(outcome.items), 'item')} tried anew", as_json=as_json)


@group.command()
def cancel(
    ctx: typer.Context,
    work_id: WorkId,
    command_id: CommandId = None,
    as_json: AsJson = False,
    server: Server = None,
    root: Root = None,
) -> None:
    """Take back what is not started of a work. What a worker holds is finished."""
    outcome = ask(ctx, server, root, lambda fleet: fleet.cancel_work(work_id, command_id=command_id))
    show(event_document(outcome), f"{work_id}: what is not started is taken back", as_json=as_json)
