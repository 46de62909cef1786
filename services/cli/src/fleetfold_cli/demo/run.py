"""The demo from its start to its end, with nothing left behind."""

from contextlib import AsyncExitStack

from rich.console import Console

from fleetfold_cli.demo import cast
from fleetfold_cli.demo.gpus import has_local_gpus
from fleetfold_cli.demo.stage import Stage
from fleetfold_cli.demo.story import Story
from fleetfold_cli.demo.tables import print_result
from fleetfold_cli.settings import DEFAULT_ROOT, Settings
from fleetfold_cli.stack.folder import passing_folder
from fleetfold_cli.stack.readiness import THIS_MACHINE, Size, described_size
from fleetfold_cli.stack.stack import Stack
from fleetfold_cli.stack.stopping import Stop
from fleetfold_cli.stack.upkeep import Part, unless_one_ends
from fleetfold_client import Fleet


async def run_demo(settings: Settings, screen: Console, stop: Stop) -> None:
    """Play the demo.

    Raises:
        StackError: something did not play its part.
        StoppedBySignal: somebody has seen enough.
    """
    stage = Stage(screen)
    with passing_folder() as folder:
        async with AsyncExitStack() as running:
            with stage.step("Stack started") as step:
                local = await stop.unless_stopped(has_local_gpus())
                services = cast.services(folder, with_local_gpus=local)
                environment = {**settings.environment, **cast.PACE}
                stack = Stack(folder, services, environment=environment, root=DEFAULT_ROOT)
                await running.enter_async_context(stack)
                fleet = await running.enter_async_context(Fleet.connect(stack.url))
                step.outcome = f"NATS at {stack.url}, {len(services)} processes, {_local(found=local)}"
            size = described_size(cast.FLEET) + cast.LONE_NODE_SIZE + (THIS_MACHINE if local else Size())
            story = Story(stack, fleet, stage, size)
            result = await stop.unless_stopped(unless_one_ends(_expected_to_last(stack), story.tell()))
            with stage.step("Stack stopped") as step:
                await running.aclose()
                step.outcome = "nothing is left behind"
    print_result(screen, result, stage.durations_s)


def _expected_to_last(stack: Stack) -> list[Part]:
    services = [service for name, service in stack.services.items() if name != cast.LONE_AGENT]
    return [stack.server, *services]


def _local(*, found: bool) -> str:
    return "with this machine's GPUs" if found else "no GPU of this machine"
