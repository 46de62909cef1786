"""`python -m tests.bench [NAME…]`: measures Fleetfold beside the raw client, and shows tables."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from fleetfold_cli.stack.errors import ServiceFailedError
from tests.bench import (
    agent,
    appending,
    asking,
    chaos,
    churn,
    family,
    folding,
    jobs,
    latency,
    memory,
    openb,
    planning,
    samples,
    shares,
    snapshots,
    starting,
    throughput,
    visible,
    work,
)
from tests.bench.measure import Effort, Report, rows, table

BENCHES: dict[str, Callable[[Path, Effort], Awaitable[Report]]] = {
    "append": appending.measure,
    "fold": folding.measure,
    "samples": samples.measure,
    "snapshot": snapshots.measure,
    "ask": asking.measure,
    "shares": shares.folded,
    "merged": shares.answered,
    "latency": latency.measure,
    "visible": visible.measure,
    "decide": throughput.measure,
    "start": starting.measure,
    "memory": memory.measure,
    "agent": agent.measure,
    "openb": openb.measure,
    "jobs": jobs.measure,
    "family": family.measure,
    "churn": churn.measure,
    "chaos": chaos.measure,
    "work": work.measure,
    "rescue": work.measure_rescue,
    "plan": planning.measure,
    "balance": planning.measure_balance,
}

FULL = Effort(
    rounds=5,
    appends=5000,
    events=20_000,
    logged=1_000_000,
    questions=100,
    decisions=1000,
    starts=3,
    fleets=("openb:8", "openb:64"),
    placements=300,
    items=1000,
    nodes=5000,
    ticks=10_000,
    watched_s=30.0,
    traces=8,
    trace_seeds=2,
    trace_jobs=None,
    storm_items=100_000,
    kills=40,
    work_items=10_000,
    planned_items=1_000_000,
    device_counts=(100, 10_000, 100_000),
)
QUICK = Effort(
    rounds=1,
    appends=200,
    events=1000,
    logged=2000,
    questions=5,
    decisions=100,
    starts=1,
    fleets=("openb:2",),
    placements=10,
    items=20,
    nodes=50,
    ticks=100,
    watched_s=1.0,
    traces=1,
    trace_seeds=1,
    trace_jobs=200,
    storm_items=500,
    kills=2,
    work_items=200,
    planned_items=20_000,
    device_counts=(100, 200),
)


async def _run(names: Sequence[str], effort: Effort, console: Console) -> list[Report]:
    _stop_in_good_order_on_sigterm()
    reports: list[Report] = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="fleetfold-bench-") as folder:
            reports.append(await BENCHES[name](Path(folder), effort))
        console.print(table(reports[-1]), "")
    return reports


def _stop_in_good_order_on_sigterm() -> None:
    # As Ctrl-C does: cancelled, a measurement stops its servers and clears its folder away.
    running = asyncio.current_task()
    assert running is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)


def main() -> None:
    """Run what the command line names, or everything."""
    arguments = _arguments()
    try:
        reports = uvloop.run(_run(arguments.names or list(BENCHES), _effort(arguments), Console()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped; nothing is left behind")
    except ServiceFailedError as error:
        sys.exit(f"{error}\n{error.log}")
    if arguments.json:
        document = [{"title": report.title, "unit": report.unit, "rows": rows(report)} for report in reports]
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(document)))


def _effort(arguments: argparse.Namespace) -> Effort:
    effort = QUICK if arguments.quick else FULL
    return msgspec.structs.replace(effort, trace_seeds=arguments.seeds or effort.trace_seeds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="do little: to see that it runs, not how fast")
    parser.add_argument("--seeds", type=int, metavar="N", help="run each trace in so many orders")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows of the tables there too")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHES):
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
