"""What the projector can be told."""

from fleetfold_runtime.settings import Seconds, Settings


class ProjectorSettings(Settings, frozen=True, kw_only=True):
    """Settings of the projector alone."""

    offline_after_s: Seconds = 30.0
    """A node that was silent for so long is offline."""
    data: str = ""
    """The folder for snapshots. Empty: none are kept, and each start folds the log from its beginning."""
    snapshot_interval_s: Seconds = 30.0
