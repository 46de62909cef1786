"""The state of the cluster, and what a replay found, for a person."""

from collections.abc import Collection, Sequence

from rich.console import Group, RenderableType

from fleetfold_cli.render.placements import placements_table
from fleetfold_cli.render.words import clock_time, count, plain_table, silence
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.answers import StateAnswer


def state_tables(answer: StateAnswer) -> RenderableType:
    """The cluster in a line, its nodes, its placements."""
    summary = answer.summary
    figures = (
        f"position {answer.position:,}",
        count(summary.node_count, "node"),
        count(summary.device_count, "device"),
        f"{format_size(summary.available_memory_bytes)} of {format_size(summary.total_memory_bytes)} available",
        count(summary.placement_count, "placement"),
    )
    nodes = plain_table("node", "pool", "state", "devices", "last seen", right=("devices",))
    for node in answer.nodes:
        nodes.add_row(node.node_id, node.pool, node.liveness, str(node.device_count), clock_time(node.last_seen))
    nodes.caption = silence(summary.silent_shares)
    placements = ["", placements_table(answer.placements)] if answer.placements else []
    return Group(", ".join(figures), "", nodes, *placements)


def replayed(position: int, parts: Collection[str], different: Sequence[str]) -> str:
    """Whether the fold of the log is what the projector holds."""
    if not different:
        return f"the same: {count(position, 'event')}, {count(len(parts), 'part')} of the state"
    lines = "\n".join(f"  {part}" for part in different)
    return f"at position {position:,} the projector holds other than the log says, in these parts:\n{lines}"
