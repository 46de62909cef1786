"""Whatever a driver answers, a sample is within the bounds of the wire, and says why a reading is not there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import codec
from fleetfold_contracts.samples import Absence, DeviceHealth, DeviceProcess, Sample, ThrottleReason
from fleetfold_devices import meter
from fleetfold_devices.catalogue import short_name
from fleetfold_devices.meter import HEALTH_READINGS, READINGS, AbsentError, Meter, Probe
from fleetfold_devices.port import DeviceLostError, Wanted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GROUPS = (
    meter.MEMORY,
    meter.UTILIZATION,
    (*meter.POWER, *meter.POWER_LIMIT),
    meter.TEMPERATURE,
    (*meter.CLOCK, *meter.MEMORY_CLOCK),
    meter.THROTTLING,
    meter.PCIE_THROUGHPUT,
)
HEALTH_GROUPS = (meter.ECC, meter.PROCESSES)

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["N/A", "", 0, -1, 100, 101, 2**32 - 1, 2**64 - 1]),
    st.sampled_from(Absence),
    st.lists(st.sampled_from(ThrottleReason)).map(tuple),
    st.builds(meter.process, st.integers(0, 2**32 - 1), st.none() | st.text(), st.none() | st.integers()).map(
        lambda one: (one,)
    ),
)
failures = st.one_of(
    st.builds(AbsentError, st.sampled_from(Absence), for_good=st.booleans()),
    st.builds(DeviceLostError, st.just("gone")),
)
wishes = st.builds(Wanted, temperature=st.booleans(), power=st.booleans(), pcie_throughput=st.booleans())


@st.composite
def probes(draw: st.DrawFn, groups: Sequence[tuple[str, ...]] = GROUPS) -> list[Probe]:
    drawn = draw(st.sets(st.sampled_from(groups)))
    answers = [draw(st.one_of(failures, st.tuples(*[anything] * len(group)))) for group in drawn]
    return [Probe(group, partial(answered, answer)) for group, answer in zip(drawn, answers, strict=True)]


def answered(answer: Exception | Sequence[object]) -> Sequence[object]:
    if isinstance(answer, Exception):
        raise answer
    return answer


@given(probes(), probes(HEALTH_GROUPS), wishes)
def test_what_is_told_is_always_within_bounds_and_complete(
    probes: list[Probe], health_probes: list[Probe], wanted: Wanted
) -> None:
    device = Meter("gpu", probes, health_probes, wanted=wanted)
    for _ in range(2):
        sample, health = device.sample(NOW), device.health(NOW)
        assert codec.decode(codec.encode(sample), Sample) == sample
        assert codec.decode(codec.encode(health), DeviceHealth) == health
        assert set(sample.absent) == {reading for reading in READINGS if getattr(sample, reading) is None}
        assert set(health.absent) == {reading for reading in HEALTH_READINGS if getattr(health, reading) is None}


@given(probes(), wishes)
def test_what_is_not_wanted_is_disabled_whatever_else_there_is(probes: list[Probe], wanted: Wanted) -> None:
    device = Meter("gpu", probes, wanted=wanted)
    sample = device.sample(NOW)
    unwanted = {
        *(() if wanted.temperature else meter.TEMPERATURE),
        *(() if wanted.power else (*meter.POWER, *meter.POWER_LIMIT)),
        *(() if wanted.pcie_throughput else meter.PCIE_THROUGHPUT),
    }
    if not device.lost:
        assert {sample.absent[reading] for reading in unwanted} <= {Absence.DISABLED}


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


def test_what_was_read_once_is_asked_for_again() -> None:
    answers: list[Exception | Sequence[object]] = [(1.0,), AbsentError(Absence.UNSUPPORTED, for_good=True), (2.0,)]
    device = Meter("gpu", [Probe(meter.POWER, lambda: answered(answers.pop(0)))])
    assert [device.sample(NOW).power_watts for _ in range(3)] == [1.0, None, 2.0]


def test_a_part_of_what_a_call_gives_can_be_absent_for_a_reason_of_its_own() -> None:
    device = Meter("gpu", [Probe(meter.MEMORY, lambda: (Absence.PENDING, 2))])
    sample = device.sample(NOW)
    assert (sample.memory_total_bytes, sample.absent["memory_used_bytes"]) == (2, Absence.PENDING)


@pytest.mark.parametrize(
    ("closed", "reason", "lost"),
    [(AbsentError(Absence.ASLEEP), Absence.ASLEEP, False), (DeviceLostError("gone"), Absence.LOST, True)],
)
def test_where_the_gate_is_closed_nothing_is_asked(closed: Exception, reason: Absence, lost: bool) -> None:
    def gate() -> None:
        raise closed

    def asked() -> Sequence[object]:
        raise AssertionError("it was asked")

    device = Meter("gpu", [Probe(meter.POWER, asked)], [Probe(meter.PROCESSES, asked)], gate=gate)
    assert device.sample(NOW).absent == dict.fromkeys(READINGS, reason)
    assert device.health(NOW).absent == dict.fromkeys(HEALTH_READINGS, reason)
    assert device.lost is lost


@pytest.mark.parametrize(
    ("command_line", "program"),
    [
        ("/usr/bin/python3 train.py --token secret", "/usr/bin/python3"),
        ("python3", "python3"),
        (" ", None),
        (None, None),
    ],
)
def test_of_a_command_line_the_program_alone_is_told(command_line: str | None, program: str | None) -> None:
    assert meter.program(command_line) == program


def test_a_process_is_told_even_where_its_memory_cannot_be_true() -> None:
    assert meter.process(7, "x" * 999, 2**60) == DeviceProcess(pid=7, name="x" * 256)
    assert meter.process(7, "", -1) == DeviceProcess(pid=7)
    assert meter.process(7, "a b", 8) == DeviceProcess(pid=7, name="a b", memory_bytes=8)


def test_every_reason_for_throttling_is_told_in_one_order() -> None:
    assert meter.throttling(set(ThrottleReason)) == (True, tuple(ThrottleReason))
    assert meter.throttling({ThrottleReason.POWER, ThrottleReason.IDLE}) == (
        False,
        (ThrottleReason.IDLE, ThrottleReason.POWER),
    )


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
