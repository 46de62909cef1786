"""Work as tables."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table

from fleetfold_cli.render.words import count, plain_table
from fleetfold_contracts.answers import FailedAnswer, WorksAnswer, WorkView
from fleetfold_contracts.events import WorkDistributed

Run = tuple[int, int]


def items_in(runs: Iterable[Run]) -> int:
    """How many items some runs `[first, count]` hold."""
    return sum(length for _, length in runs)


def distribution(outcome: WorkDistributed) -> RenderableType:
    """What went where, and what could not be assigned."""
    unassigned = items_in(outcome.unassigned)
    assigned = outcome.item_count - unassigned
    head = f"{outcome.work_id}: {count(assigned, 'item')} on {count(len(outcome.assignments), 'device')}"
    table = plain_table("device", "items", right=("items",))
    for assignment in outcome.assignments:
        table.add_row(assignment.device_id, f"{items_in(assignment.runs):,}")
    if not unassigned:
        return Group(head, table)
    return Group(head, table, f"{count(unassigned, 'item')} not assigned: {outcome.reason}")


def works_table(works: Iterable[WorkView]) -> Table:
    """Each work in a line: items in = done + failed + waiting + unassigned + cancelled."""
    figures = ("items", "done", "failed", "waiting", "unassigned", "cancelled")
    table = plain_table("work", *figures, right=figures)
    for work in works:
        cells = (work.item_count, work.done, work.failed, work.waiting, work.unassigned, work.cancelled)
        table.add_row(work.work_id, *(f"{cell:,}" for cell in cells))
    return table


def shares_table(answer: WorksAnswer) -> RenderableType:
    """A work, and what each device has of it."""
    figures = ("done", "failed tries", "pending", "handed out", "seconds")
    table = plain_table("device", *figures, right=figures)
    for one in answer.devices:
        cells = (one.done, one.failed, one.pending, one.handed)
        name = f"{one.device_id} (nobody works for it)" if one.silent else one.device_id
        table.add_row(name, *(f"{cell:,}" for cell in cells), f"{one.seconds:,.1f}")
    return Group(works_table(answer.works), table)


def failed_table(answer: FailedAnswer) -> RenderableType:
    """Items that have failed for good, with who tried and why not."""
    table = plain_table("item", "device", "reason", right=("item",))
    for item in answer.items:
        for place, one in enumerate(item.tries):
            table.add_row("" if place else f"{item.index}", one.device_id, one.reason)
    if not answer.forgotten:
        return table
    return Group(table, f"{count(answer.forgotten, 'older item')} in the log alone (`item.failed`)")
