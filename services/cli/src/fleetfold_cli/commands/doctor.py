"""`fleetfold doctor`."""

import asyncio

import typer

from fleetfold_cli.asking import cluster_of
from fleetfold_cli.doctor.cluster import cluster_findings
from fleetfold_cli.doctor.findings import Report, report_on
from fleetfold_cli.doctor.vendors import vendor_findings
from fleetfold_cli.exits import ExitCode, leave
from fleetfold_cli.options import AsJson, Root, Server
from fleetfold_cli.output import show
from fleetfold_cli.render.doctor import report_table
from fleetfold_cli.settings import Settings
from fleetfold_runtime import settings as service_settings

app = typer.Typer()


@app.command()
def doctor(ctx: typer.Context, as_json: AsJson = False, server: Server = None, root: Root = None) -> None:
    """Say what works here, what is missing and how to get it. Ends with 1 when something is broken."""
    cluster = cluster_of(ctx, server, root)
    report = asyncio.run(_report(cluster, _replicas(cluster)))
    show(report, report_table(report), as_json=as_json)
    if report.broken:
        raise typer.Exit(ExitCode.FAILED)


async def _report(cluster: Settings, replicas: int) -> Report:
    vendors, of_cluster = await asyncio.gather(
        vendor_findings(), cluster_findings(cluster.server, cluster.root, replicas=replicas)
    )
    return report_on([*vendors, *of_cluster])


def _replicas(cluster: Settings) -> int:
    try:
        return service_settings.load_settings(service_settings.Settings, cluster.environment).replicas
    except service_settings.SettingsError as error:
        leave(ExitCode.REJECTED, str(error))
