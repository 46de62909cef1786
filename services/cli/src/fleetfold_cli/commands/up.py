"""`fleetfold up`."""

import asyncio
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from fleetfold_cli.asking import cluster_of
from fleetfold_cli.exits import ExitCode, leave
from fleetfold_cli.nats_server import FREE_PORT
from fleetfold_cli.options import Root
from fleetfold_cli.output import console
from fleetfold_cli.render.words import count
from fleetfold_cli.settings import DEFAULT_SERVER, Settings
from fleetfold_cli.stack.errors import StackError
from fleetfold_cli.stack.folder import default_folder, held_folder
from fleetfold_cli.stack.ports import HOST, port_near, something_listens
from fleetfold_cli.stack.readiness import THIS_MACHINE, Size, described_size, fleet_seen, live_nodes
from fleetfold_cli.stack.restoring import restoring
from fleetfold_cli.stack.stack import DISTRIBUTOR, PLACEMENT_SOLVER, STATE_PROJECTOR, Stack, gateway, telemetry_agent
from fleetfold_cli.stack.stopping import Stop, StoppedBySignal, run_stoppable
from fleetfold_cli.stack.upkeep import keep_running
from fleetfold_client import Fleet, FleetError
from fleetfold_contracts.answers import StateAnswer
from fleetfold_devices.simulation import fleet_file

STATUS_EVERY_S = 2.0

app = typer.Typer()


@app.command()
def up(
    ctx: typer.Context,
    fleet: Annotated[
        str,
        typer.Option(metavar="SPEC", help="A simulated fleet, not this machine's GPUs: openb:64, or a TOML file."),
    ] = "",
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="What is kept between runs.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Where NATS listens; 0 takes a free port.")] = 4222,
    http_port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Where the page and the HTTP API are; a free port where it is taken.")
    ] = 8780,
    from_file: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Begin with a log that 'fleetfold export' wrote.")
    ] = None,
    root: Root = None,
) -> None:
    """Run NATS and the services on this machine until Ctrl-C. The data stays."""
    cluster = cluster_of(ctx, None, root)
    size = size_of(fleet)
    folder = data or default_folder(cluster.environment)
    try:
        run_stoppable(
            lambda stop: _up(stop, cluster, Plan(folder, fleet, size, port or FREE_PORT, http_port, from_file))
        )
    except StoppedBySignal:
        console().print(f"Stopped. The data stays in {folder}.")
    except (StackError, FleetError) as error:
        leave(ExitCode.FAILED, str(error))


def size_of(fleet: str) -> Size:
    """How many nodes and devices will join. The command ends here when the fleet is described wrongly."""
    try:
        return described_size(fleet) if fleet else THIS_MACHINE
    except fleet_file.FleetError as error:
        leave(ExitCode.REJECTED, str(error))


class Plan(NamedTuple):
    """What is to be started, and where."""

    folder: Path
    fleet: str
    size: Size
    port: int
    wished_http_port: int
    from_file: Path | None


async def _up(stop: Stop, cluster: Settings, plan: Plan) -> None:
    with held_folder(plan.folder):
        http_port = port_near(plan.wished_http_port)
        stack = Stack(
            plan.folder,
            (telemetry_agent(plan.fleet), STATE_PROJECTOR, PLACEMENT_SOLVER, DISTRIBUTOR, gateway(http_port)),
            environment=cluster.environment,
            root=cluster.root,
            port=plan.port,
            sync_always=True,
            before_services=restoring(plan.from_file, plan.folder, cluster.root) if plan.from_file else None,
        )
        async with stack, Fleet.connect(stack.url, root=stack.root) as fleet:
            try:
                await stop.unless_stopped(_keep_up(stack, fleet, plan.size, http_port))
            except StoppedBySignal:
                console().print("Stopping.")
                raise


async def _keep_up(stack: Stack, fleet: Fleet, size: Size, http_port: int) -> None:
    screen = console()
    screen.print(f"NATS listens at {stack.url}. Data and logs are in {stack.folder}.")
    async with asyncio.TaskGroup() as upkeep:
        for part in (stack.server, *stack.services.values()):
            upkeep.create_task(keep_running(part, screen.print))
        told = await _tell_start(fleet, size, stack, http_port, screen)
        await _tell_changes(told, fleet, screen)


async def _tell_start(fleet: Fleet, size: Size, stack: Stack, http_port: int, screen: Console) -> str:
    await stack.answering()
    told = _status(await fleet_seen(fleet, size))
    screen.print(told)
    await something_listens(http_port)
    screen.print(f"The page is at http://{HOST}:{http_port}")
    screen.print(_what_next(stack))
    return told


async def _tell_changes(told: str, fleet: Fleet, screen: Console) -> None:
    while True:
        await asyncio.sleep(STATUS_EVERY_S)
        status = await _status_now(fleet)
        if status != told:
            screen.print(status)
        told = status


async def _status_now(fleet: Fleet) -> str:
    try:
        return _status(await fleet.state())
    except FleetError as error:
        return f"no answer: {error}"


def _status(state: StateAnswer) -> str:
    summary = state.summary
    figures = (
        f"{live_nodes(state)} of {count(summary.node_count, 'node')} live",
        count(summary.device_count, "device"),
        count(summary.placement_count, "placement"),
        f"{summary.refused_count:,} refused",
        f"{sum(work.waiting for work in state.works):,} items waiting",
    )
    return ", ".join(figures)


def _what_next(stack: Stack) -> str:
    lines = ["In another terminal:"]
    if stack.url != DEFAULT_SERVER:
        lines.append(f"  export FLEETFOLD_NATS_URL={stack.url}")
    lines += [
        "  fleetfold devices",
        "  fleetfold place --shards 4 --shard-memory 8GiB",
        "  fleetfold watch",
        f"  nats sub -s {stack.url} '{stack.root}.evt.>'",
        "Ctrl-C stops everything; the data stays.",
    ]
    return "\n".join(lines)
