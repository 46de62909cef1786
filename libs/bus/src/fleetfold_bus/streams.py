"""The streams of a cluster: declared here, nowhere else."""

from dataclasses import dataclass
from enum import StrEnum

from fleetfold_bus.port import Queue
from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.subjects import Subjects

EVENTS = "EVT"
SAMPLES = "TLM"
COMMANDS = "CMD"
WORK = "WORK"

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400


class Keeps(StrEnum):
    """What makes a message go."""

    LIMITS = "limits"
    UNTIL_ACKNOWLEDGED = "workqueue"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream. `max_age_s` of 0 keeps for ever; within `duplicate_window_s` an id is taken once."""

    name: str
    subjects: tuple[str, ...]
    keeps: Keeps = Keeps.LIMITS
    max_age_s: int = 0
    duplicate_window_s: int = 2 * MINUTE_S
    replicas: int = 1


def declared(subjects: Subjects, *, replicas: int = 1) -> tuple[Stream, ...]:
    """All streams of a cluster."""
    return (
        Stream(subjects.stream(EVENTS), (subjects.all_events,), replicas=replicas),
        Stream(
            subjects.stream(SAMPLES),
            (subjects.all_samples,),
            max_age_s=HOUR_S,
            replicas=replicas,
        ),
        Stream(subjects.stream(COMMANDS), (subjects.all_commands,), max_age_s=7 * DAY_S, replicas=replicas),
        # A distributor that was away hands the same batches out again under the same ids: the window must outlast it.
        Stream(
            subjects.stream(WORK),
            (subjects.all_work,),
            keeps=Keeps.UNTIL_ACKNOWLEDGED,
            duplicate_window_s=DAY_S,
            replicas=replicas,
        ),
    )


def worker_queue(subjects: Subjects, device_id: DeviceId, *, settle_within_s: float) -> Queue:
    """The queue that the workers of a device pull from. Whoever pulls last says what `settle_within_s` is for all."""
    return Queue(
        stream=subjects.stream(WORK),
        name=f"worker-{device_id}",
        filters=(subjects.work(device_id),),
        settle_within_s=settle_within_s,
    )
