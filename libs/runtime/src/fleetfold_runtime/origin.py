"""Whose fold a state is: a state folded by another version, or from another log, is not believed."""

from importlib.metadata import version

from fleetfold_bus.port import Bus
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_contracts.snapshots import Origin
from fleetfold_contracts.subjects import Subjects

FOLD_VERSION = version("fleetfold-core")


async def origin_of(bus: Bus, subjects: Subjects, share: Share = WHOLE) -> Origin:
    """What a snapshot must come from to be believed here and now, with the telemetry of a share in it."""
    return Origin(
        version=FOLD_VERSION,
        events_created=await bus.created(subjects.stream(EVENTS)),
        samples_created=await bus.created(subjects.stream(SAMPLES)),
        share=str(share),
    )
