"""What the doctor found, as a table."""

from rich.table import Table

from fleetfold_cli.doctor.findings import Report
from fleetfold_cli.render.words import plain_table


def report_table(report: Report) -> Table:
    """Each part on a line, and below it what to do about it."""
    table = plain_table("state", "part", "found")
    for finding in report.findings:
        found = f"{finding.found}\n-> {finding.remedy}" if finding.remedy else finding.found
        table.add_row(finding.state, finding.part, found)
    return table
