"""How fast samples become a state, beside only decoding them: one core, nothing read from a server."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleetfold_contracts import codec
from fleetfold_contracts.samples import NodeSample, Sample
from fleetfold_core.fold import fold, fold_samples
from fleetfold_core.state import At, State
from tests.bench import history
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns
from tests.support.examples import GIB

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

DECODE = "decode"
DECODE_AND_FOLD = "decode and fold"
GOAL = 0.5


async def measure(_folder: Path, effort: Effort) -> Report:
    """Samples of nodes of 8 devices, each with all the readings that a data centre's GPU has."""
    payloads = [codec.encode(_samples(number)) for number in range(effort.events)]
    device_count = effort.events * history.DEVICES_A_NODE
    contenders = {
        DECODE: lambda: rate_per_s(device_count, _decode(payloads)),
        DECODE_AND_FOLD: lambda: rate_per_s(device_count, _decode_and_fold(payloads)),
    }
    rates = await take_turns(contenders, effort.rounds)
    series = (
        Series(name=DECODE, values=tuple(rates[DECODE])),
        Series(name=DECODE_AND_FOLD, values=tuple(rates[DECODE_AND_FOLD]), against=DECODE, goal=GOAL),
    )
    return Report(title="Fold samples of nodes of 8 devices", unit="device samples/s", series=series)


def _samples(number: int) -> NodeSample:
    tick, node = divmod(number, history.NODES)
    time = BEGAN + timedelta(seconds=2 * tick, milliseconds=node)
    devices = range(node * history.DEVICES_A_NODE, (node + 1) * history.DEVICES_A_NODE)
    samples = tuple(_sample(history.device_id(device), time, tick) for device in devices)
    return NodeSample(node_id=history.node_id(node), boot_id="boot", tick=tick, samples=samples)


def _sample(device_id: str, time: datetime, tick: int) -> Sample:
    return Sample(
        device_id=device_id,
        timestamp=time,
        memory_used_bytes=16 * GIB + tick,
        memory_total_bytes=40 * GIB,
        compute_utilization_percent=float(tick % 100),
        power_watts=287.5,
        temperature_celsius=61.0,
        clock_rate_mhz=1410.0,
        throttled=False,
        power_limit_watts=400.0,
        memory_clock_mhz=1593.0,
    )


async def _decode(payloads: Sequence[bytes]) -> None:
    for payload in payloads:
        codec.decode_samples(payload)


async def _decode_and_fold(payloads: Sequence[bytes]) -> None:
    state = State()
    for index in range(history.JOINING):
        fold(state, history.event(index), At(sequence=index + 1, time=BEGAN))
    for sequence, payload in enumerate(payloads, start=1):
        fold_samples(state, codec.decode_samples(payload), sequence, BEGAN)
    assert state.ignored_sample_count == 0, "every sample is of a device that is known"
