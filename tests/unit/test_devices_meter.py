"""Whatever a driver answers, a sample is within the bounds of the wire, and says why a reading is not there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.samples import Absence, Sample
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.meter import READINGS, AbsentError, Meter, Probe
from fleetfold_devices.nvidia._identity import has_tensor_cores
from fleetfold_devices.port import DeviceLostError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = (meter.MEMORY, meter.UTILIZATION, meter.POWER, meter.TEMPERATURE, meter.CLOCK, meter.THROTTLED)

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["N/A", "", 0, -1, 100, 101, 2**32 - 1, 2**64 - 1]),
)
failures = st.one_of(
    st.builds(AbsentError, st.sampled_from(Absence), for_good=st.booleans()),
    st.builds(DeviceLostError, st.just("gone")),
)


@st.composite
def probes(draw: st.DrawFn) -> list[Probe]:
    groups = draw(st.sets(st.sampled_from(GROUPS)))
    answers = [draw(st.one_of(failures, st.tuples(*[anything] * len(group)))) for group in groups]
    return [Probe(group, partial(answered, answer)) for group, answer in zip(groups, answers, strict=True)]


def answered(answer: Exception | Sequence[object]) -> Sequence[object]:
    if isinstance(answer, Exception):
        raise answer
    return answer


@given(probes())
def test_a_sample_is_always_within_bounds_and_complete(probes: list[Probe]) -> None:
    device = Meter("gpu", probes)
    for _ in range(2):
        sample = device.sample(NOW)
        assert codec.decode(codec.encode(sample), Sample) == sample
        assert set(sample.absent) == {reading for reading in READINGS if getattr(sample, reading) is None}


@pytest.mark.parametrize(
    ("used", "total", "readings"),
    [(1, 2, (1, 2)), (2, 2, (2, 2)), (0, 2, (0, 2)), (3, 2, (None, 2)), (0, 0, (0, None)), (3, 0, (None, None))],
)
def test_no_more_memory_is_used_than_there_is(used: int, total: int, readings: tuple[int | None, int | None]) -> None:
    sample = Meter("gpu", [Probe(meter.MEMORY, lambda: meter.memory(used, total))]).sample(NOW)
    assert (sample.memory_used_bytes, sample.memory_total_bytes) == readings


def test_what_a_device_lacks_is_asked_for_once() -> None:
    asked: list[str] = []

    def lacking() -> tuple[float]:
        asked.append("power")
        raise AbsentError(Absence.UNSUPPORTED, for_good=True)

    device = Meter("gpu", [Probe(meter.POWER, lacking)])
    assert [device.sample(NOW).absent["power_watts"] for _ in range(3)] == [Absence.UNSUPPORTED] * 3
    assert asked == ["power"]


@pytest.mark.parametrize(
    ("device_name", "model"),
    [
        ("NVIDIA A10", "A10"),
        ("Tesla T4", "T4"),
        ("NVIDIA H100 80GB HBM3", "H100 80GB HBM3"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("AMD Instinct MI300X", "MI300X"),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX"),
        ("AMD Radeon", "AMD Radeon"),
    ],
)
def test_a_model_is_the_name_without_the_brands(device_name: str, model: str) -> None:
    assert short_name(device_name) == model


@pytest.mark.parametrize(
    ("capability", "device_name", "has"),
    [
        ((6, 0), "Tesla P100-PCIE-16GB", False),
        ((7, 0), "Tesla V100-SXM2-16GB", True),
        ((7, 5), "Tesla T4", True),
        ((7, 5), "NVIDIA GeForce RTX 2080", True),
        ((7, 5), "NVIDIA GeForce GTX 1660", False),
        ((7, 5), "NVIDIA T1000", None),
        ((9, 0), "NVIDIA H100 80GB HBM3", True),
        (None, "NVIDIA A10", None),
    ],
)
def test_tensor_cores_are_known_by_generation(
    capability: tuple[int, int] | None, device_name: str, has: bool | None
) -> None:
    assert has_tensor_cores(capability, device_name) is has
