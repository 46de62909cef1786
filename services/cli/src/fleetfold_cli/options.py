"""The options that many commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Server = Annotated[str | None, typer.Option(metavar="URL", help="The NATS server; else FLEETFOLD_NATS_URL.")]
Root = Annotated[str | None, typer.Option(help="The first word of all subjects; else FLEETFOLD_ROOT.")]
ADevice = Annotated[str | None, typer.Argument(metavar="[DEVICE]", help="As 'fleetfold devices' shows it.")]
ANode = Annotated[str | None, typer.Option(help="Instead of a device: a node, with all its devices.")]
Pool = Annotated[str, typer.Option(help="The ledger that the device belongs to.")]


def device_or_node(device: str | None, node: str | None) -> str:
    """The one of the two that is given.

    Raises:
        BadParameter: both are, or neither.
    """
    chosen = [given for given in (device, node) if given is not None]
    if len(chosen) != 1:
        raise typer.BadParameter("give a DEVICE or --node, one of them")
    return chosen[0]
