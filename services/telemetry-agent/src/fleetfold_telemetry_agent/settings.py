"""What the agent can be told."""

from typing import Annotated

import msgspec

from fleetfold_runtime.settings import Seconds, Settings
from fleetfold_telemetry_agent.dead_band import DeadBand

Points = Annotated[float, msgspec.Meta(ge=0, le=100)]


class AgentSettings(Settings, frozen=True, kw_only=True):
    """Settings of the agent alone."""

    fleet: str = ""
    """A simulated fleet instead of this machine's GPUs: `openb:64` or a TOML file's path."""
    fleet_seed: int = 0
    node_id: str = ""
    """Empty: made of the machine's own id, so that it survives restarts."""
    sample_interval_s: Annotated[float, msgspec.Meta(ge=0.2, le=3600)] = 2.0
    key_frame_interval_s: Seconds = 30.0
    memory_dead_band_points: Points = 1.0
    temperature_dead_band_celsius: Points = 5.0
    utilization_dead_band_points: Points = 10.0

    @property
    def dead_band(self) -> DeadBand:
        """How far a reading must move to be worth a message."""
        return DeadBand(
            memory_points=self.memory_dead_band_points,
            temperature_celsius=self.temperature_dead_band_celsius,
            utilization_points=self.utilization_dead_band_points,
        )
