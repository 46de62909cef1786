"""Links as a table."""

from rich.table import Table

from fleetfold_cli.render.words import figure, plain_table
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.agents import ProbeAnswer
from fleetfold_contracts.answers import LinksAnswer

_FIGURES = ("bandwidth", "latency")


def links_table(answer: LinksAnswer) -> Table:
    """What each link joins, what it is made of, what it carries, and who says so."""
    table = plain_table("from", "to", "kind", *_FIGURES, "seen by", right=_FIGURES)
    for seen in answer.links:
        link = seen.link
        table.add_row(
            *link.ends,
            link.kind,
            figure(link.bandwidth_gbps, " Gbit/s", digits=1),
            figure(link.latency_us, " µs"),
            seen.node_id,
        )
    return table


def probed(answer: ProbeAnswer) -> str:
    """`a to b: 9.4 Gbit/s over ethernet (64.0 MiB in 0.06 s)`."""
    first, second = answer.link.ends
    measured = f"{answer.bandwidth_gbps:.2f} Gbit/s over {answer.link.kind}"
    return f"{first} to {second}: {measured} ({format_size(answer.byte_count)} in {answer.took_s:.2f} s)"
