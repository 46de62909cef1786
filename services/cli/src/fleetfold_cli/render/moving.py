"""Who waits, and who would sit better elsewhere, as tables."""

from collections.abc import Iterable

from rich.table import Table

from fleetfold_cli.render.placements import nodes_of
from fleetfold_cli.render.words import clock_time, names, plain_table
from fleetfold_contracts.answers import PlacementView, QueuedView
from fleetfold_contracts.events import RebalanceProposed


def queue_table(degraded: Iterable[PlacementView], queue: Iterable[QueuedView]) -> Table:
    """Each that waits in a line, in the order of their turns: degraded placements come first."""
    table = plain_table("workload", "pool", "priority", "since", "deadline", "waits for", "why", right=("priority",))
    for placement in degraded:
        why = f"degraded: {placement.degraded}"
        table.add_row(placement.workload_id, placement.pool, "", clock_time(placement.decided_at), "", "", why)
    for queued in queue:
        displaced = f"made room for {queued.preempted_by}: " if queued.preempted_by is not None else ""
        table.add_row(
            queued.workload_id,
            queued.pool,
            str(queued.priority),
            clock_time(queued.since),
            clock_time(queued.deadline) if queued.deadline is not None else "",
            names(queued.kept_devices),
            displaced + queued.summary,
        )
    return table


def moves_table(outcome: RebalanceProposed) -> Table:
    """Each move in a line."""
    title = "moved" if outcome.applied else "would sit better elsewhere"
    table = plain_table("workload", "to devices", "nodes", "gain", right=("gain",), title=title)
    for move in outcome.moves:
        devices = dict.fromkeys(allocation.device_id for allocation in move.allocations)
        table.add_row(
            move.workload_id, names(devices), names(nodes_of(move.allocations, move.host)), f"{move.gain:.2f}"
        )
    return table
