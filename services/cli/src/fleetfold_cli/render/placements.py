"""Placements, refusals and their reasons as tables."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from fleetfold_cli.render.words import clock_time, count, names, plain_table
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.answers import ExplainAnswer, PlacementView, Verdict
from fleetfold_contracts.events import PlacementDecided, PlacementQueued, PlacementRefused
from fleetfold_contracts.workloads import Allocation, HostAllocation, Obstacle


def placements_table(placements: Iterable[PlacementView]) -> Table:
    """Each placement in a line."""
    figures = ("shards", "gpus", "memory")
    table = plain_table("workload", "pool", *figures, "devices", "nodes", "decided", right=figures)
    for placement in placements:
        allocations = placement.allocations
        table.add_row(
            placement.workload_id,
            placement.pool,
            str(len(allocations)),
            f"{sum(allocation.gpu_milli for allocation in allocations) / 1000:g}",
            format_size(sum(allocation.memory_bytes for allocation in allocations)),
            names(dict.fromkeys(allocation.device_id for allocation in allocations)),
            names(nodes_of(allocations, placement.host)),
            clock_time(placement.decided_at),
        )
    return table


def decision(
    outcome: PlacementDecided | PlacementRefused | PlacementQueued, *, dry_run: bool = False
) -> RenderableType:
    """What became of a workload, or would become of it."""
    workload_id = outcome.workload.workload_id
    would = "would be " if dry_run else ""
    if isinstance(outcome, PlacementRefused):
        return Group(f"{would}refused: {workload_id}: {outcome.summary}", *_obstacle_tables(outcome.obstacles))
    if isinstance(outcome, PlacementQueued):
        waits_for = f"; waits for {names(outcome.kept_devices)}" if outcome.kept_devices else ""
        return Group(
            f"{would}queued: {workload_id}: {outcome.summary}{waits_for}", *_obstacle_tables(outcome.obstacles)
        )
    nodes = names(nodes_of(outcome.allocations, outcome.host))
    preempted = f"; made room: {names(outcome.preempted)}" if outcome.preempted else ""
    head = f"{would}placed: {workload_id}: {count(len(outcome.allocations), 'shard')} on {nodes}{preempted}"
    return Group(head, *_allocation_tables(outcome.allocations))


def explanation(answer: ExplainAnswer) -> RenderableType:
    """Why a workload sits where it sits, or why it sits nowhere."""
    return Group(
        f"{answer.workload_id} is {answer.status}: {answer.summary}",
        *_allocation_tables(answer.allocations),
        *_obstacle_tables(answer.obstacles),
        *_verdict_tables(answer.verdicts),
    )


def nodes_of(allocations: Iterable[Allocation], host: HostAllocation | None) -> list[str]:
    """The nodes that a placement sits on, in order, each once."""
    nodes = [allocation.node_id for allocation in allocations] + ([host.node_id] if host else [])
    return list(dict.fromkeys(nodes))


def _allocation_tables(allocations: Sequence[Allocation]) -> list[Table]:
    table = plain_table("shard", "device", "node", "memory", "share", "score", right=("memory", "share", "score"))
    for allocation in allocations:
        table.add_row(
            allocation.shard_id,
            allocation.device_id,
            allocation.node_id,
            format_size(allocation.memory_bytes),
            f"{allocation.gpu_milli / 1000:.0%}",
            f"{allocation.score:.2f}",
        )
    return [table] if allocations else []


def _obstacle_tables(obstacles: Sequence[Obstacle]) -> list[Table]:
    table = plain_table("count", "reason", "nearest", "detail", right=("count",))
    for obstacle in obstacles:
        table.add_row(f"{obstacle.count:,}", obstacle.reason, obstacle.nearest or "", obstacle.detail)
    return [table] if obstacles else []


def _verdict_tables(verdicts: Sequence[Verdict]) -> list[Table]:
    table = plain_table("device", "reason", "detail", title="\nIts largest shard, device by device, as it is now:")
    for verdict in verdicts:
        table.add_row(verdict.device_id, verdict.reason, verdict.detail)
    return [table] if verdicts else []
