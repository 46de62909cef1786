"""`fleetfold demo`."""

import sys
from typing import cast

import typer

from fleetfold_cli.demo.run import run_demo
from fleetfold_cli.exits import SIGNAL_BASE, ExitCode, leave
from fleetfold_cli.output import console
from fleetfold_cli.settings import Settings
from fleetfold_cli.stack.errors import ServiceFailedError, StackError
from fleetfold_cli.stack.stopping import StoppedBySignal, run_stoppable
from fleetfold_client import FleetError

app = typer.Typer()


@app.command()
def demo(ctx: typer.Context) -> None:
    """See the whole system at work on this machine, in less than a minute. It leaves nothing behind."""
    try:
        run_stoppable(lambda stop: run_demo(cast("Settings", ctx.obj), console(), stop))
    except StoppedBySignal as stopped:
        sys.stderr.write("fleetfold: stopped; nothing is left behind\n")
        raise typer.Exit(SIGNAL_BASE + stopped.number) from None
    except ServiceFailedError as error:
        sys.stderr.write(f"{error.log}\n")
        leave(ExitCode.FAILED, str(error))
    except (StackError, FleetError) as error:
        leave(ExitCode.FAILED, str(error))
