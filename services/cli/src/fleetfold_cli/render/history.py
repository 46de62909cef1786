"""A device's readings over time, as a table."""

from rich.table import Table

from fleetfold_cli.render.words import ABSENT, figure, plain_table
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.history import HistoryAnswer, Series

_COLUMNS = {
    "busy": ("compute_utilization_percent", " %"),
    "temp": ("temperature_celsius", " °C"),
    "power": ("power_watts", " W"),
    "clock": ("clock_rate_mhz", " MHz"),
}


def history_table(answer: HistoryAnswer) -> Table:
    """A line a point: its mean, and in brackets the least and the greatest where several samples are behind it."""
    right = ("samples", "used", *_COLUMNS)
    table = plain_table("time", *right, right=right)
    for index, time in enumerate(answer.times):
        used = answer.readings.get("memory_used_bytes", Series()).mean
        table.add_row(
            f"{time.astimezone():%Y-%m-%d %H:%M:%S}",
            str(answer.sample_counts[index]),
            ABSENT if not used or (used_bytes := used[index]) is None else format_size(int(used_bytes)),
            *(_cell(answer.readings.get(name, Series()), index, unit) for name, unit in _COLUMNS.values()),
        )
    return table


def _cell(series: Series, index: int, unit: str) -> str:
    mean = series.mean[index] if series.mean else None
    if mean is None or not series.low:
        return figure(mean, unit)
    return f"{figure(mean, unit)} ({figure(series.low[index])} to {figure(series.high[index])})"
