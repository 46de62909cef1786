"""What an agent says of its node: facts on change alone, samples that moved, and a beat at every tick."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_contracts.inventory import Capabilities, Link, LinkKind, Node, Vendor
from fleetfold_contracts.samples import Absence, DeviceHealth, NodeSample, Sample
from fleetfold_core.fold import fold
from fleetfold_core.state import At, State
from fleetfold_devices.isolation.look import Look
from fleetfold_devices.port import Fault, Inventory
from fleetfold_telemetry_agent.dead_band import DeadBand, moved
from fleetfold_telemetry_agent.reporter import Fact, Reporter, Seen
from tests.support.examples import a_device

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE = Node(node_id="n1", boot_id="boot-1-a", hostname="n1", cpu_milli=1000, memory_bytes=1)
AFTER_A_RESTART = msgspec.structs.replace(NODE, boot_id="boot-1-b")
AFTER_A_BOOT = msgspec.structs.replace(NODE, boot_id="boot-2-c")

A, B = a_device("a"), a_device("b")
AMD_C = msgspec.structs.replace(a_device("c"), vendor=Vendor.AMD)
NVLINK = Link(ends=("a", "b"), kind=LinkKind.NVLINK)
XGMI = Link(ends=("c", "c2"), kind=LinkKind.XGMI)


def reporter(node: Node = NODE, *, key_frame_every: int = 15, recalled: Iterable[Fact] = ()) -> Reporter:
    """An agent that has just started, on a log that holds what was said before."""
    teller = Reporter(node, DeadBand(), ticks_between_key_frames=key_frame_every)
    for event, _ in recalled:
        teller.recall(event)
    return teller


def sample(
    device_id: str = "a", memory_percent: int = 50, celsius: float = 60, utilization: float = 30, **more: object
) -> Sample:
    return Sample(
        device_id=device_id,
        timestamp=NOW,
        memory_used_bytes=memory_percent,
        memory_total_bytes=100,
        temperature_celsius=celsius,
        compute_utilization_percent=utilization,
        **more,  # pyright: ignore[reportArgumentType]
    )


def silent(device_id: str) -> Sample:
    return Sample(device_id=device_id, timestamp=NOW, absent={"memory_used_bytes": Absence.LOST})


def found(*devices: Capabilities, links: tuple[Link, ...] = (), lost: tuple[str, ...] = (), **more: object) -> Seen:
    """A look for devices."""
    samples = [silent(device.device_id) if device.device_id in lost else sample(device.device_id) for device in devices]
    look = Look(inventory=Inventory(devices), links=links, samples=tuple(samples))
    return Seen(look=look, **more)  # pyright: ignore[reportArgumentType]


def readings(*samples: Sample, faults: tuple[Fault, ...] = (), **more: object) -> Seen:
    """A look at readings alone."""
    return Seen(look=Look(samples=samples, faults=faults), **more)  # pyright: ignore[reportArgumentType]


def said(teller: Reporter, *seen: Seen) -> list[evt.Event]:
    return [event for event, _ in teller.tick(seen)[1]]


def kinds(facts: Iterable[evt.Event]) -> list[str]:
    return [f"{evt.TYPE_OF_EVENT[type(event)]} {evt.about(event)}" for event in facts]


def told(message: NodeSample) -> list[str]:
    return [one.device_id for one in message.samples]


def test_an_unmoved_device_is_told_in_key_frames_alone_and_the_node_beats_at_every_tick() -> None:
    teller = reporter(key_frame_every=5)
    messages = [teller.tick([readings(sample())])[0] for _ in range(11)]
    assert [message.tick for message in messages] == list(range(11))
    assert [message.tick for message in messages if message.samples] == [0, 5, 10]
    assert [message.tick for message in messages if message.key_frame] == [0, 5, 10]


def test_a_key_frame_can_be_asked_for_and_comes_once() -> None:
    teller = reporter()
    teller.tick([readings(sample())])
    teller.tell_all()
    frames = [teller.tick([readings(sample())])[0] for _ in range(3)]
    assert [(message.key_frame, told(message)) for message in frames] == [(True, ["a"]), (False, []), (False, [])]


def test_of_two_looks_at_a_device_the_newer_one_is_told() -> None:
    message, _ = reporter().tick([readings(sample(celsius=60)), readings(sample(celsius=70))])
    assert [one.temperature_celsius for one in message.samples] == [70]


def test_the_health_of_devices_goes_with_the_samples() -> None:
    health = DeviceHealth(device_id="a", timestamp=NOW, ecc_corrected_count=3)
    message, _ = reporter().tick([Seen(look=Look(health=(health,)))])
    assert message.health == (health,)


def test_what_moved_beyond_the_band_is_told() -> None:
    before = sample()
    assert not moved(before, sample(memory_percent=51, celsius=65, utilization=40), DeadBand())
    assert moved(before, sample(memory_percent=52), DeadBand())
    assert moved(before, sample(celsius=65.1), DeadBand())
    assert moved(before, sample(utilization=40.5), DeadBand())
    assert moved(before, sample(throttled=True), DeadBand())
    assert moved(before, sample(absent={"power_watts": Absence.ERROR}), DeadBand())


def test_stale_readings_are_told_at_every_tick_so_that_their_age_is_true() -> None:
    assert moved(sample(), sample(stale_s=2.0), DeadBand())
    assert moved(sample(stale_s=2.0), sample(stale_s=4.0), DeadBand())
    assert moved(sample(stale_s=2.0), sample(), DeadBand())


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_what_was_told_last_is_never_farther_away_than_the_band(utilizations: list[float]) -> None:
    """The band is measured from what was published, so that a slow drift is told too."""
    teller = reporter(key_frame_every=1000)
    last = 0.0
    for utilization in utilizations:
        message, _ = teller.tick([readings(sample(utilization=utilization))])
        if message.samples:
            last = message.samples[0].compute_utilization_percent or 0.0
        assert abs(last - utilization) <= DeadBand().utilization_points


def test_what_is_found_is_registered_once() -> None:
    teller = reporter()
    assert kinds(said(teller, found(A, B, links=(NVLINK,)))) == [
        "device.registered a",
        "device.registered b",
        "links.observed n1",
    ]
    assert said(teller, found(A, B, links=(NVLINK,))) == []
    assert said(teller, readings(sample("a"), sample("b"))) == []


def test_a_device_that_was_swapped_is_another_device() -> None:
    teller = reporter()
    said(teller, found(A))
    assert kinds(said(teller, found(B))) == ["device.lost a", "device.registered b"]


def test_a_device_that_is_put_back_is_registered_and_recovers() -> None:
    teller = reporter()
    said(teller, found(A, B))
    assert kinds(said(teller, found(B))) == ["device.lost a"]
    assert said(teller, found(B)) == []
    assert kinds(said(teller, found(A, B))) == ["device.registered a", "device.recovered a"]


def test_new_capabilities_are_told() -> None:
    newer = msgspec.structs.replace(A, driver_version="580")
    teller = reporter()
    said(teller, found(A))
    assert said(teller, found(newer)) == [evt.DeviceRegistered(node_id="n1", capabilities=newer)]


def test_a_device_without_readings_is_lost_once_and_recovers_once() -> None:
    teller = reporter()
    said(teller, found(A, B))
    facts = [fact for one in (silent("a"), silent("a"), sample(), sample()) for fact in said(teller, readings(one))]
    assert kinds(facts) == ["device.lost a", "device.recovered a"]


def test_a_lost_device_that_is_listed_still_does_not_flap_when_devices_are_looked_for() -> None:
    teller = reporter()
    said(teller, found(A), readings(silent("a")))
    assert said(teller, found(A, lost=("a",))) == []
    assert kinds(said(teller, found(A))) == ["device.registered a", "device.recovered a"]


def test_the_reason_of_a_loss_is_told() -> None:
    teller = reporter()
    said(teller, found(A))
    (lost,) = said(teller, readings(silent("a"), why_lost="nvidia: no answer within 5 s" + "!" * 5000))
    assert isinstance(lost, evt.DeviceLost)
    assert lost.reason.startswith("nvidia: no answer within 5 s")
    assert len(lost.reason) <= 4096


def test_one_vendor_says_nothing_of_the_devices_and_links_of_another() -> None:
    teller = reporter()
    said(teller, found(A, B, links=(NVLINK,), vendor=Vendor.NVIDIA), found(AMD_C, links=(XGMI,), vendor=Vendor.AMD))

    (links,) = said(teller, found(AMD_C, vendor=Vendor.AMD))
    assert links == evt.LinksObserved(node_id="n1", links=(NVLINK,))
    assert kinds(said(teller, Seen(look=Look(inventory=Inventory()), vendor=Vendor.AMD))) == ["device.lost c"]


def test_links_in_another_order_are_no_news() -> None:
    teller = reporter()
    other = Link(ends=("a", "b"), kind=LinkKind.PCIE)
    said(teller, found(A, B, links=(NVLINK, other)))
    assert said(teller, found(A, B, links=(other, NVLINK))) == []
    assert kinds(said(teller, found(A, B))) == ["links.observed n1"]


def test_a_fault_is_told_once_until_the_device_works_again() -> None:
    xid = Fault("a", "XID 79", "fell off the bus")
    teller = reporter()
    said(teller, found(A))
    assert said(teller, readings(sample(), faults=(xid, xid))) == [
        evt.DeviceFaulted(node_id="n1", device_id="a", code="XID 79", meaning="fell off the bus")
    ]
    assert said(teller, readings(sample(), faults=(xid,))) == []
    # The driver was opened anew, and the device answers: it was reset.
    assert kinds(said(teller, found(A, opened=True))) == ["device.recovered a"]
    assert kinds(said(teller, readings(sample(), faults=(xid,)))) == ["device.faulted a"]


def test_a_fault_of_a_device_that_nobody_knows_is_left_out() -> None:
    assert said(reporter(), readings(faults=(Fault("x", "XID 79"),))) == []


def test_an_agent_that_starts_again_says_what_changed_meanwhile() -> None:
    before = reporter()
    facts = [before.joined(), *before.tick([found(A, B, links=(NVLINK,))])[1], before.left()]

    same = reporter(AFTER_A_RESTART, recalled=facts)
    assert kinds([same.joined()[0], *said(same, found(A, B, links=(NVLINK,), opened=True))]) == ["node.joined n1"]

    swapped = reporter(AFTER_A_RESTART, recalled=facts)
    swapped.joined()
    assert kinds(said(swapped, found(A, AMD_C, opened=True))) == [
        "device.lost b",
        "device.registered c",
        "links.observed n1",
    ]


def test_after_a_boot_of_the_machine_all_devices_are_told_anew() -> None:
    """While it was off, a GPU can have been in another machine, whose agent registered it."""
    before = reporter()
    facts = [before.joined(), *before.tick([found(A)])[1]]
    booted = reporter(AFTER_A_BOOT, recalled=facts)
    facts += [booted.joined(), *booted.tick([found(A)])[1]]
    assert kinds([event for event, _ in facts[2:]]) == ["node.joined n1", "device.registered a"]

    restarted = reporter(msgspec.structs.replace(NODE, boot_id="boot-2-d"), recalled=facts)
    restarted.joined()
    assert said(restarted, found(A)) == []


def test_a_device_that_was_lost_or_faulted_before_a_restart_recovers_after_it() -> None:
    before = reporter()
    facts = [before.joined(), *before.tick([found(A, B)])[1]]
    facts += before.tick([readings(silent("a"), sample("b"), faults=(Fault("b", "XID 48"),))])[1]

    teller = reporter(AFTER_A_RESTART, recalled=facts)
    assert kinds(said(teller, found(A, B, opened=True))) == [
        "device.registered a",
        "device.recovered a",
        "device.recovered b",
    ]


def test_a_log_that_lacks_a_beginning_is_no_trouble() -> None:
    teller = reporter(recalled=[(evt.DeviceLost(node_id="n1", device_id="a"), "1")])
    assert kinds(said(teller, found(A))) == ["device.registered a"]


def glimpse(devices: list[Capabilities], lost: set[str], faulty: set[str], *, opened: bool) -> Seen:
    look = found(*devices, lost=tuple(lost)).look
    faults = tuple(Fault(device_id, "XID 1") for device_id in sorted(faulty))
    return Seen(look=msgspec.structs.replace(look, faults=faults), opened=opened)


LOOKS = st.builds(
    glimpse,
    st.lists(
        st.sampled_from([A, msgspec.structs.replace(A, driver_version="2"), B, AMD_C]),
        unique_by=lambda device: device.device_id,
    ),
    st.sets(st.sampled_from("abc")),
    st.sets(st.sampled_from("abc")),
    opened=st.booleans(),
)


@given(st.lists(LOOKS, max_size=12), st.integers(0, 12))
def test_the_log_tells_how_things_stand_whatever_happens_and_whenever_the_agent_restarts(
    looks: list[Seen], restart_at: int
) -> None:
    """After every tick, the devices that the folded log shows as there are those that were seen to answer."""
    teller = reporter()
    log: list[Fact] = [teller.joined()]
    for number, look in enumerate(looks):
        if number == restart_at:
            teller = reporter(AFTER_A_RESTART, recalled=log)
            log.append(teller.joined())
        log += teller.tick([look])[1]

        state = State()
        for sequence, (event, _) in enumerate(log, start=1):
            fold(state, event, At(sequence=sequence, time=NOW))
        assert state.parked_count == 0
        answering = {one.device_id for one in look.look.samples if not one.absent}
        assert {id_ for id_, device in state.devices.items() if device.lost is None} == answering
        assert len({message_id for _, message_id in log}) == len(log)
