"""The tables at the end of the demo."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from fleetfold_cli.demo.story import Result
from fleetfold_cli.render.placements import placements_table
from fleetfold_cli.render.words import ABSENT, figure, plain_table
from fleetfold_cli.render.work import works_table
from fleetfold_cli.sizes import format_size
from fleetfold_contracts.answers import DeviceView
from fleetfold_contracts.events import PlacementRefused

SHOWN_ROWS = 8


def print_result(screen: Console, result: Result, durations_s: Mapping[str, float]) -> None:
    """Devices, placements, refusals, items and times."""
    assert result.devices is not None
    assert result.state is not None
    placements = result.state.placements
    _print(screen, "Devices", _devices_table(result.devices.devices))
    _print(screen, "Placements", placements_table(placements[:SHOWN_ROWS]), len(placements) - SHOWN_ROWS)
    _print(screen, "Refusals", _refusals_table(result.refusals[:SHOWN_ROWS]), len(result.refusals) - SHOWN_ROWS)
    _print(screen, "Items", works_table(result.state.works))
    _print(screen, "Times", _times_table(durations_s))


def _print(screen: Console, title: str, table: Table, not_shown: int = 0) -> None:
    screen.print(f"\n{title}", style="bold")
    screen.print(table)
    if not_shown > 0:
        screen.print(f"… and {not_shown:,} more")


def _devices_table(devices: Iterable[DeviceView]) -> Table:
    figures = ("devices", "live", "memory", "used", "reserved", "busy", "hottest")
    table = plain_table("model", *figures, right=figures)
    by_model: defaultdict[str, list[DeviceView]] = defaultdict(list)
    for device in devices:
        by_model[device.capabilities.model or device.capabilities.device_name].append(device)
    for model, alike in sorted(by_model.items()):
        table.add_row(model, *_figures(alike))
    return table


def _figures(alike: Sequence[DeviceView]) -> list[str]:
    samples = [device.sample for device in alike if device.sample]
    used = [sample.memory_used_bytes for sample in samples if sample.memory_used_bytes is not None]
    busy = [sample.compute_utilization_percent for sample in samples if sample.compute_utilization_percent is not None]
    heat = [sample.temperature_celsius for sample in samples if sample.temperature_celsius is not None]
    return [
        str(len(alike)),
        str(sum(device.status == "live" for device in alike)),
        format_size(sum(device.capabilities.max_memory_bytes for device in alike)),
        format_size(sum(used)) if used else ABSENT,
        format_size(sum(device.reserved_bytes for device in alike)),
        figure(sum(busy) / len(busy) if busy else None, " %"),
        figure(max(heat, default=None), " °C"),
    ]


def _refusals_table(refusals: Iterable[PlacementRefused]) -> Table:
    table = plain_table("workload", "why")
    for refusal in refusals:
        table.add_row(refusal.workload.workload_id, refusal.summary)
    return table


def _times_table(durations_s: Mapping[str, float]) -> Table:
    table = plain_table("step", "seconds", right=("seconds",))
    for title, duration_s in durations_s.items():
        table.add_row(title, f"{duration_s:.1f}")
    table.add_row("all", f"{sum(durations_s.values()):.1f}")
    return table
