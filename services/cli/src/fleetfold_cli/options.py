"""The options that many commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Server = Annotated[str | None, typer.Option(metavar="URL", help="The NATS server; else FLEETFOLD_NATS_URL.")]
Root = Annotated[str | None, typer.Option(help="The first word of all subjects; else FLEETFOLD_ROOT.")]
Pool = Annotated[str, typer.Option(help="The ledger that the device belongs to.")]
