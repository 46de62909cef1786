"""What the projector can be told."""

from fleetfold_runtime.settings import Seconds, Settings
from fleetfold_state_projector.liveness import Patience

MISSED_BEATS = 3


class ProjectorSettings(Settings, frozen=True, kw_only=True):
    """Settings of the projector alone."""

    sample_interval_s: Seconds = 2.0
    """How often the agents publish: three missed beats make a node stale."""
    offline_after_s: Seconds = 30.0

    @property
    def patience(self) -> Patience:
        """How long a node may be silent."""
        stale_after_s = MISSED_BEATS * self.sample_interval_s
        return Patience(stale_after_s=stale_after_s, offline_after_s=max(self.offline_after_s, stale_after_s))
