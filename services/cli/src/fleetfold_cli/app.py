"""The application: every command by its name, and how each is found."""

from collections.abc import Sequence
from importlib import import_module

import typer

from fleetfold_cli.settings import Settings

MODULES = {
    "up": "up",
    "demo": "demo",
    "devices": "devices",
    "cordon": "devices",
    "uncordon": "devices",
    "aggregate": "figures",
    "topology": "figures",
    "history": "history",
    "state": "log",
    "replay": "log",
    "export": "log",
    "links": "links",
    "pools": "pools",
    "transfer": "pools",
    "place": "placements",
    "release": "placements",
    "placements": "placements",
    "queue": "moving",
    "move": "moving",
    "drain": "moving",
    "rebalance": "moving",
    "quota": "moving",
    "why": "placements",
    "distribute": "work",
    "work": "works",
    "watch": "watch",
    "doctor": "doctor",
    "version": "version",
}
"""Each command with the module that holds it, in the order of the help page."""

HELP = """Keeps a mixed fleet of GPUs busy.

FLEETFOLD_NATS_URL and FLEETFOLD_ROOT stand for --server and --root.

Exit codes: 0 done, 1 something failed, 2 typed or asked wrongly, 3 nothing answers, 4 refused: it does not fit.
"""


def run(arguments: Sequence[str], settings: Settings) -> None:
    """Run a command line to its end; the process leaves with its exit code."""
    application(arguments)(args=list(arguments), obj=settings, prog_name="fleetfold")


def application(arguments: Sequence[str]) -> typer.Typer:
    """The application for a command line.

    When that names a command, only the module of it is imported: `fleetfold version` need not wait for a NATS client.
    """
    app = typer.Typer(
        help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    app.callback()(_group)
    called = MODULES.get(arguments[0]) if arguments else None
    for module in (called,) if called else dict.fromkeys(MODULES.values()):
        app.add_typer(import_module(f"fleetfold_cli.commands.{module}").app)
    return app


def _group() -> None:
    """Stand as the callback that keeps an application of one command a group."""
