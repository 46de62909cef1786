"""Simulated nodes on the same port as real ones: seeded, repeatable, and cheap enough for thousands in one process.

A reading depends on the seed, the device, the loads put on it, its scripted faults and how often it has been sampled,
and on nothing else: the clock only stamps it. Each sampling is one tick. The constants below suit a tick of about two
seconds.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations

import msgspec

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.inventory import Bytes, Capabilities, Link, LinkKind, Node
from fleetfold_contracts.samples import Absence, DeviceHealth, Sample
from fleetfold_devices.catalogue import Model
from fleetfold_devices.meter import POWER, TEMPERATURE
from fleetfold_devices.port import Fault, Inventory, Wanted
from fleetfold_devices.simulation.scripted_faults import Script, ScriptedFault

OTHERS_MEMORY_SHARE_MAX = 0.2
"""How much of a device's memory those may use whom Fleetfold does not know."""
OTHERS_UTILIZATION_PERCENT_MAX = 8.0
OTHERS_MEMORY_SHARE_STEP = 0.005
OTHERS_UTILIZATION_PERCENT_STEP = 1.0

IDLE_CELSIUS = (32.0, 40.0)
FULL_LOAD_RISE_CELSIUS = (42.0, 52.0)
"""Up from the idle temperature. Devices differ within these ranges: under full load some throttle, some do not."""
FAN_STOPPED_CELSIUS = 110.0
"""Where a device ends up whose fan stands still, whatever it does. It throttles some ten ticks after that began."""
THERMAL_INERTIA = 0.9
"""The share of the distance to its final temperature that a device still has after a tick."""
THROTTLE_CELSIUS = 84.0
RECOVER_CELSIUS = 79.0
"""Below the threshold by some degrees, so that a device at the limit does not flip at every tick."""
THROTTLED_SHARE = 0.7
"""What throttling leaves of clock and power."""

IDLE_POWER_SHARE = 0.12
IDLE_CLOCK_SHARE = 0.4

PCIE_3_X16 = (LinkKind.PCIE, 126.0)
"""PCI Express 3.0 with 16 lanes, in gigabits a second each way: 8 GT/s a lane, of which 128/130 is payload."""

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_LOW = 0xFFFFFFFF


def _mixed(counter: int) -> int:
    # SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): 64 random bits from a counter. A generator of the standard library
    # would take 2.5 kB a device.
    bits = ((counter ^ (counter >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def _within(bounds: tuple[float, float], share: float) -> float:
    low, high = bounds
    return low + (high - low) * share


class SimulatedDevice:
    """One device: the load put on it, and what follows from that in memory, heat, power and clock."""

    __slots__ = (
        "_counter",
        "_full_load_rise_celsius",
        "_idle_celsius",
        "_load_bytes",
        "_load_percent",
        "_model",
        "_others_percent",
        "_others_share",
        "_temperature_celsius",
        "_throttled",
        "device_id",
        "fan_stopped",
    )

    def __init__(self, device_id: DeviceId, model: Model, seed: int) -> None:
        self.device_id = device_id
        self.fan_stopped = False
        self._model = model
        digest = hashlib.blake2b(f"{seed}/{device_id}".encode(), digest_size=24).digest()
        self._counter = int.from_bytes(digest[:8])
        shares = [int.from_bytes(digest[start : start + 4]) / _LOW for start in range(8, 24, 4)]
        self._others_share = shares[0] * OTHERS_MEMORY_SHARE_MAX
        self._others_percent = shares[1] * OTHERS_UTILIZATION_PERCENT_MAX
        self._idle_celsius = _within(IDLE_CELSIUS, shares[2])
        self._full_load_rise_celsius = _within(FULL_LOAD_RISE_CELSIUS, shares[3])
        self._temperature_celsius = self._idle_celsius
        self._throttled = False
        self._load_bytes = 0
        self._load_percent = 0.0

    def capabilities(self) -> Capabilities:
        """What the model says of the device."""
        model = self._model
        return Capabilities(
            device_id=self.device_id,
            device_type=model.device_type,
            device_name=model.device_name,
            vendor=model.vendor,
            max_memory_bytes=model.memory_bytes,
            compute_units=model.compute_units,
            memory_bandwidth_gbps=model.memory_bandwidth_gbps,
            supports_fp64=model.supports_fp64,
            supports_tensor_cores=model.supports_tensor_cores,
            compute_capability=model.compute_capability,
            precisions=model.precisions,
            model=model.name,
        )

    def set_load(self, memory_bytes: Bytes, utilization_percent: float) -> None:
        """What sits on the device from now on, beside what others use."""
        self._load_bytes = memory_bytes
        self._load_percent = utilization_percent

    def tick(self, now: datetime) -> Sample:
        """Go on by one tick, and read."""
        self._wander()
        model, throttled = self._model, self._throttled
        utilization_percent = min(100.0, self._load_percent + self._others_percent)
        drive = utilization_percent / 100.0 * (THROTTLED_SHARE if throttled else 1.0)
        self._warm(drive)
        others_bytes = int(self._others_share * model.memory_bytes)
        return Sample(
            device_id=self.device_id,
            timestamp=now,
            memory_used_bytes=min(model.memory_bytes, self._load_bytes + others_bytes),
            memory_total_bytes=model.memory_bytes,
            compute_utilization_percent=round(utilization_percent, 1),
            power_watts=round(model.max_power_watts * (IDLE_POWER_SHARE + (1 - IDLE_POWER_SHARE) * drive), 1),
            temperature_celsius=round(self._temperature_celsius, 1),
            clock_rate_mhz=float(round(model.max_clock_mhz * (IDLE_CLOCK_SHARE + (1 - IDLE_CLOCK_SHARE) * drive))),
            throttled=throttled,
        )

    def _wander(self) -> None:
        # What others use walks at random and turns back at its bounds.
        self._counter = (self._counter + _GOLDEN) & _MASK
        bits = _mixed(self._counter)
        share = self._others_share + OTHERS_MEMORY_SHARE_STEP * ((bits >> 32) / _LOW - 0.5)
        self._others_share = min(OTHERS_MEMORY_SHARE_MAX, max(0.0, share))
        percent = self._others_percent + OTHERS_UTILIZATION_PERCENT_STEP * ((bits & _LOW) / _LOW - 0.5)
        self._others_percent = min(OTHERS_UTILIZATION_PERCENT_MAX, max(0.0, percent))

    def _warm(self, drive: float) -> None:
        driven = self._idle_celsius + self._full_load_rise_celsius * drive
        final = FAN_STOPPED_CELSIUS if self.fan_stopped else driven
        self._temperature_celsius = final + (self._temperature_celsius - final) * THERMAL_INERTIA
        limit = RECOVER_CELSIUS if self._throttled else THROTTLE_CELSIUS
        self._throttled = self._temperature_celsius >= limit


def _unwanted(wanted: Wanted) -> tuple[str, ...]:
    return (() if wanted.temperature else TEMPERATURE) + (() if wanted.power else POWER)


def _without(sample: Sample, unwanted: tuple[str, ...]) -> Sample:
    absent = sample.absent | dict.fromkeys(unwanted, Absence.DISABLED)
    return msgspec.structs.replace(sample, absent=absent, **dict.fromkeys(unwanted))


class SimulatedNode:
    """A node with its devices: a DeviceSource that has no hardware behind it, and a `node` to say where it is.

    Its devices are called `<node>-gpu0`, `<node>-gpu1`, … in the order of `models`. `faults` says what goes wrong on
    which of them.
    """

    def __init__(
        self,
        node: Node,
        models: Sequence[Model],
        *,
        links: tuple[Link, ...] = (),
        seed: int = 0,
        faults: Mapping[DeviceId, Iterable[ScriptedFault]] | None = None,
    ) -> None:
        self.node = node
        self.name = f"simulated {node.node_id}"
        self.wanted = Wanted()
        devices = [
            SimulatedDevice(nth_device_id(node.node_id, place), model, seed) for place, model in enumerate(models)
        ]
        self._devices = {device.device_id: device for device in devices}
        self._links = links
        self._scripts = {device_id: Script(scripted) for device_id, scripted in (faults or {}).items()}
        self._tick = 0
        self._reported: list[Fault] = []

    @property
    def device_ids(self) -> Iterable[DeviceId]:
        """Its devices, those that are lost included."""
        return self._devices.keys()

    def discover(self) -> Inventory:
        """The devices that were described."""
        return Inventory(tuple(device.capabilities() for device in self._devices.values()))

    def sample(self, now: datetime) -> tuple[Sample, ...]:
        """Go on by one tick, and read every device."""
        tick, self._tick = self._tick, self._tick + 1
        for device_id, script in self._scripts.items():
            self._devices[device_id].fan_stopped = script.overheats(tick)
            self._reported += script.reported(device_id, tick)
        samples = [device.tick(now) for device in self._devices.values()]
        if self._scripts:
            samples = [self._shown(sample, tick) for sample in samples]
        unwanted = _unwanted(self.wanted)
        return tuple(_without(sample, unwanted) for sample in samples) if unwanted else tuple(samples)

    def _shown(self, sample: Sample, tick: int) -> Sample:
        script = self._scripts.get(sample.device_id)
        return sample if script is None else script.shown(sample, tick)

    def set_load(self, device_id: DeviceId, memory_bytes: Bytes, utilization_percent: float) -> None:
        """Say what sits on a device from now on: its memory and utilization rise by it, heat, power and clock follow.

        Raises:
            KeyError: the node has no such device.
            ValueError: the memory is negative, or the utilization not within 0 to 100.
        """
        if memory_bytes < 0:
            raise ValueError(f"memory_bytes: {memory_bytes} is negative")
        if not 0 <= utilization_percent <= 100:
            raise ValueError(f"utilization_percent: {utilization_percent} is not within 0 to 100")
        self._devices[device_id].set_load(memory_bytes, utilization_percent)

    def health(self, now: datetime) -> tuple[DeviceHealth, ...]:
        """No memory errors, and nobody known who uses a device."""
        return tuple(
            DeviceHealth(
                device_id=device_id, timestamp=now, ecc_corrected_count=0, ecc_uncorrected_count=0, processes=()
            )
            for device_id in self._devices
        )

    def links(self) -> tuple[Link, ...]:
        """The links that were described."""
        return self._links

    def faults(self) -> tuple[Fault, ...]:
        """Those that were scripted for the ticks since this was last asked."""
        reported, self._reported = self._reported, []
        return tuple(reported)

    def close(self) -> None:
        """Nothing is held."""


def nth_device_id(node_id: str, place: int) -> DeviceId:
    """The id of a simulated device by its place in the node, from 0."""
    return f"{node_id}-gpu{place}"


def linked_all_to_all(
    node_id: str,
    device_count: int,
    kind: LinkKind,
    bandwidth_gbps: float | None = None,
    latency_us: float | None = None,
) -> tuple[Link, ...]:
    """A link between each two devices of a node."""
    ids = [nth_device_id(node_id, place) for place in range(device_count)]
    return tuple(
        Link(ends=ends, kind=kind, bandwidth_gbps=bandwidth_gbps, latency_us=latency_us)
        for ends in combinations(ids, 2)
    )
