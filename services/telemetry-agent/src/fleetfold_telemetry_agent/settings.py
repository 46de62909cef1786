"""What the agent can be told."""

from typing import Annotated

import msgspec

from fleetfold_contracts.inventory import Labels
from fleetfold_devices.port import Wanted
from fleetfold_runtime.settings import Seconds, Settings
from fleetfold_telemetry_agent.dead_band import DeadBand
from fleetfold_telemetry_agent.tiers import Tiers

Points = Annotated[float, msgspec.Meta(ge=0, le=100)]
LabelList = Annotated[str, msgspec.Meta(pattern=r"^([^=,]{1,256}=[^,]{0,256}(,[^=,]{1,256}=[^,]{0,256}){0,63})?\Z")]


class AgentSettings(Settings, frozen=True, kw_only=True):
    """Settings of the agent alone."""

    fleet: str = ""
    """A simulated fleet instead of this machine's GPUs: `openb:64` or a TOML file's path."""
    fleet_seed: int = 0
    node_id: str = ""
    """Empty: made of the machine's own id, so that it survives restarts."""
    labels: LabelList = ""
    """Of this machine, such as `rack=a,zone=b`."""

    sample_interval_s: Annotated[float, msgspec.Meta(ge=0.2, le=3600)] = 2.0
    key_frame_interval_s: Seconds = 30.0
    health_interval_s: Seconds = 15.0
    """How often memory errors and processes are read."""
    topology_interval_s: Seconds = 60.0
    """How often devices and links are looked for anew."""

    memory_dead_band_points: Points = 1.0
    temperature_dead_band_celsius: Points = 5.0
    utilization_dead_band_points: Points = 10.0

    links: str = ""
    """A TOML file that declares links between nodes. Those of which this node is the first end are told of."""
    probe_host: str = ""
    """Where other agents reach this one when bandwidth is measured. Empty: its address on the way to NATS."""

    sample_temperature: bool = True
    sample_power: bool = True
    sample_pcie_throughput: bool = False
    """Some drivers take 40 ms a device for it."""

    round_deadline_s: Seconds = 5.0
    """A vendor that does not tell its readings in this time is killed, and started again."""
    topology_deadline_s: Seconds = 30.0
    """The same for a round in which it is opened, or devices are looked for: a driver may have to wake all GPUs."""
    stale_limit_s: Seconds = 30.0
    """Up to this age the last readings of a vendor that does not answer are shown. Then its devices are lost."""

    outbox_limit: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1000
    """So many facts of a node wait for the server in full. Beyond that, only the newest of each kind about a device."""

    @property
    def dead_band(self) -> DeadBand:
        """How far a reading must move to be worth a message."""
        return DeadBand(
            memory_points=self.memory_dead_band_points,
            temperature_celsius=self.temperature_dead_band_celsius,
            utilization_points=self.utilization_dead_band_points,
        )

    @property
    def wanted(self) -> Wanted:
        """Which readings are taken beside the cheap ones."""
        return Wanted(
            temperature=self.sample_temperature,
            power=self.sample_power,
            pcie_throughput=self.sample_pcie_throughput,
        )

    @property
    def node_labels(self) -> Labels:
        """The labels by their names."""
        pairs = (label.partition("=") for label in self.labels.split(",") if label)
        return {name: value for name, _, value in pairs}

    def tiers(self) -> Tiers:
        """The paces of the slow readings, from their start."""
        return Tiers(health_every_s=self.health_interval_s, topology_every_s=self.topology_interval_s)

    @property
    def ticks_between_key_frames(self) -> int:
        """After so many ticks every device is told, moved or not."""
        return max(1, round(self.key_frame_interval_s / self.sample_interval_s))
