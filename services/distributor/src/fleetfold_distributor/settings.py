"""What the distributor is told by its environment."""

from typing import Annotated

import msgspec

from fleetfold_runtime.settings import Settings


class DistributorSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service is told."""

    silent_after_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """A batch that nobody works on for so long goes to another device. Workers are held to the same time."""
