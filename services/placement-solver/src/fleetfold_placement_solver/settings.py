"""What the solver can be told."""

from typing import Annotated

import msgspec

from fleetfold_runtime.settings import Settings

Grace = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Celsius = Annotated[float, msgspec.Meta(gt=0, le=1000)]


class SolverSettings(Settings, frozen=True, kw_only=True):
    """Beside what every service can be told."""

    grace_s: Grace = 30.0
    """So long a device may be lost, or a node offline, before what sits there is moved."""
    too_hot_celsius: Celsius | None = None
    """What sits on a device that is hotter than this for the time of grace is moved. Absent: heat moves nothing."""
