"""What the projector can be told."""

from typing import Annotated

import msgspec

from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_runtime.settings import Seconds, Settings


class ProjectorSettings(Settings, frozen=True, kw_only=True):
    """Settings of the projector alone."""

    offline_after_s: Seconds = 30.0
    """A node that was silent for so long is offline."""
    data: str = ""
    """The folder for snapshots and history. Empty: none are kept, and each start folds the log from its beginning."""
    snapshot_interval_s: Seconds = 30.0
    history_samples: Annotated[int, msgspec.Meta(ge=1, le=750)] = 100
    """So many of each device's newest samples are kept in full, in memory."""
    history_days: Annotated[float, msgspec.Meta(gt=0, le=3650)] = 30.0
    """For so long readings are kept by the minute and by the hour, in `data`; without it, while the service runs."""
    history_limit_mib: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2048
    """What they may take on disk. Where it is too little, the oldest minutes go first."""
    share: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}/[1-9][0-9]{0,2}\Z")] = str(WHOLE)
    """Which share of the nodes' telemetry is folded: `2/4` is the second of four."""

    def __post_init__(self) -> None:
        """Refuse a share that there is not."""
        if self.folds.number > self.folds.of:
            raise ValueError(f"FLEETFOLD_SHARE={self.share!r}: there are {self.folds.of} shares, the first is number 1")

    @property
    def folds(self) -> Share:
        """The share, as what it means."""
        number, _, count = self.share.partition("/")
        return Share(int(number), int(count))
