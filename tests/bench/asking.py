"""What answers take in fleets of three sizes: pages of devices, beside encoding one alone, and the figures."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import DeviceOrder, DevicesQuery
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from fleetfold_core.views.devices import DeviceIds, devices
from fleetfold_core.views.figures import aggregate
from tests.bench.measure import Effort, Report, Series
from tests.support.cluster import GIB, a_device, a_node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEVICES_A_NODE = 8
PAGE = DevicesQuery(limit=100)
BEST = DevicesQuery(limit=100, sort=DeviceOrder.SCORE)


async def measure(_: Path, effort: Effort) -> Report:
    """Each question asked again and again of a fleet that stands still."""
    series: list[Series] = []
    for count in effort.device_counts:
        series += _of_a_fleet(fleet(count), count, effort.rounds)
    return Report(title="Answers, by devices in the fleet", unit="ms", series=tuple(series))


def _of_a_fleet(state: State, count: int, rounds: int) -> list[Series]:
    ids = DeviceIds()
    page = devices(state, PAGE, ids)
    encoding = f"{count:,}: encoding a page alone"
    return [
        Series(name=encoding, values=_took_ms(lambda: codec.encode(page), rounds)),
        _against(encoding, f"{count:,}: page by id", lambda: codec.encode(devices(state, PAGE, ids)), rounds),
        _against(encoding, f"{count:,}: page by score", lambda: codec.encode(devices(state, BEST, ids)), rounds),
        _against(encoding, f"{count:,}: aggregate", lambda: codec.encode(aggregate(state, NOW)), rounds),
    ]


def _against(encoding: str, name: str, ask: Callable[[], object], rounds: int) -> Series:
    return Series(name=name, values=_took_ms(ask, rounds), against=encoding)


def _took_ms(work: Callable[[], object], rounds: int) -> tuple[float, ...]:
    """The middle of ten, in each round."""
    return tuple(statistics.median(_once_ms(work) for _ in range(10)) for _ in range(rounds))


def _once_ms(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return (time.perf_counter() - began_s) * 1000


def fleet(count: int) -> State:
    """So many devices, eight a node, each with its readings."""
    state = State()
    for first in range(0, count, DEVICES_A_NODE):
        node_id = f"node-{first // DEVICES_A_NODE:05}"
        device_ids = [f"gpu-{number:06}" for number in range(first, min(first + DEVICES_A_NODE, count))]
        joining = [evt.DeviceRegistered(node_id=node_id, capabilities=a_device(device_id)) for device_id in device_ids]
        for event in (evt.NodeJoined(node=a_node(node_id)), *joining):
            fold(state, event, At(sequence=state.position + 1, time=NOW))
        boot_id = state.nodes[node_id].node.boot_id
        sampled = NodeSample(node_id=node_id, boot_id=boot_id, tick=0, samples=tuple(map(_sample, device_ids)))
        fold_samples(state, sampled, state.samples_position + 1, NOW)
    return state


def _sample(device_id: str) -> Sample:
    number = int(device_id.removeprefix("gpu-"))
    return Sample(
        device_id=device_id,
        timestamp=NOW,
        memory_used_bytes=number % 20 * GIB,
        memory_total_bytes=24 * GIB,
        compute_utilization_percent=number % 100,
        power_watts=50.0 + number % 200,
        temperature_celsius=35.0 + number % 50,
        clock_rate_mhz=1410.0,
    )
