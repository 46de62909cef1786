"""`fleetfold version`."""

import json
from importlib.metadata import version as installed_version

import typer

from fleetfold_cli.options import AsJson

app = typer.Typer()


@app.command()
def version(as_json: AsJson = False) -> None:
    """Say which version this is."""
    number = installed_version("fleetfold-cli")
    typer.echo(json.dumps({"version": number}) if as_json else f"fleetfold {number}")
