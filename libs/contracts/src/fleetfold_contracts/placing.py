"""How a workload is to be placed, beside what it asks for."""

from enum import StrEnum
from typing import Annotated

import msgspec

MAX_PREEMPTED = 64
"""So many placements may make room for one workload: their names must fit into the event of its decision."""

Seconds = Annotated[float, msgspec.Meta(gt=0, le=10**8)]


class PlacementStrategy(StrEnum):
    """By what a solver chooses where several devices would do."""

    SCORE = "score"
    """The best scored devices: free memory and idle compute, the cool ones first."""
    PACK = "pack"
    """The fullest devices that still have room, so that others stay empty."""
    SPREAD = "spread"
    """The emptiest devices, so that each has most to spare."""
    FRAGMENTATION = "fragmentation"
    """Where it leaves most room that the usual requests can use."""
