"""Pools as a table."""

from rich.table import Table

from fleetfold_cli.render.words import plain_table
from fleetfold_contracts.answers import StateAnswer

_FIGURES = ("nodes", "devices", "placements")


def pools_table(answer: StateAnswer) -> Table:
    """What is in each pool."""
    table = plain_table("pool", *_FIGURES, right=_FIGURES)
    for pool in answer.pools:
        table.add_row(pool.pool, f"{pool.node_count:,}", f"{pool.device_count:,}", f"{pool.placement_count:,}")
    return table
