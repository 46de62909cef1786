"""The cluster in figures, as tables."""

from rich.console import Group, RenderableType
from rich.table import Table

from fleetfold_cli.render.words import ABSENT, count, figure, plain_table, silence
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.figures import AggregateAnswer, Figures, TopologyAnswer, TopologyFigures

_FIGURES = ("devices", "memory", "used", "available", "busy", "temp", "power", "heterogeneity")
_LINK_FIGURES = ("links", "least", "average", "latency")


def aggregate_table(answer: AggregateAnswer) -> Table:
    """A line for the cluster, for each vendor and for each pool. `(3)` says how many devices have the reading."""
    table = plain_table("of", *_FIGURES, right=_FIGURES)
    table.add_row("cluster", *_row(answer.cluster))
    for vendor, figures in answer.by_vendor.items():
        table.add_row(vendor, *_row(figures))
    for pool, figures in answer.by_pool.items():
        table.add_row(f"pool {pool}", *_row(figures))
    table.caption = silence(answer.silent_shares)
    return table


def topology_tables(answer: TopologyAnswer) -> RenderableType:
    """What hangs together, the links by kind, and each node."""
    nodes = plain_table("node", "devices", "links", right=("devices", "links"))
    for node in answer.nodes:
        nodes.add_row(node.node_id, str(len(node.device_ids)), str(len(node.links)))
    return Group(_ways(answer.figures), "", _kinds(answer.figures), "", nodes)


def _row(figures: Figures) -> list[str]:
    def of(shown: str, device_count: int) -> str:
        return f"{shown} ({device_count:,})" if device_count else ABSENT

    return [
        f"{figures.device_count:,}",
        format_size(figures.total_memory_bytes),
        of(format_size(figures.used_memory_bytes), figures.used_memory_device_count),
        format_size(figures.available_memory_bytes),
        of(figure(figures.average_utilization_percent, " %"), figures.utilization_device_count),
        of(figure(figures.average_temperature_celsius, " °C"), figures.temperature_device_count),
        of(figure(figures.total_power_watts, " W"), figures.power_device_count),
        of(figure(figures.heterogeneity, digits=1), figures.heterogeneity_device_count),
    ]


def _ways(figures: TopologyFigures) -> str:
    bandwidth = f"average bandwidth {figure(figures.average_bandwidth_gbps, ' Gbit/s', digits=1)}"
    if figures.part_count is None:
        return f"{bandwidth}; there are too many links to say what hangs together"
    least = "" if figures.diameter_is_exact else "at least "
    hops = ABSENT if figures.diameter_hops is None else least + count(figures.diameter_hops, "hop")
    bottleneck = figure(figures.bottleneck_bandwidth_gbps, " Gbit/s", digits=1)
    return f"{count(figures.part_count, 'part')}, diameter {hops}, {bandwidth}, bottleneck {bottleneck}"


def _kinds(figures: TopologyFigures) -> Table:
    table = plain_table("kind", *_LINK_FIGURES, right=_LINK_FIGURES)
    for kind, of_kind in figures.by_kind.items():
        table.add_row(
            kind,
            f"{of_kind.link_count:,}",
            figure(of_kind.lowest_bandwidth_gbps, " Gbit/s", digits=1),
            figure(of_kind.average_bandwidth_gbps, " Gbit/s", digits=1),
            figure(of_kind.average_latency_us, " µs", digits=1),
        )
    return table
