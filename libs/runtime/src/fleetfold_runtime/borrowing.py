"""Where to begin to fold: with a projector's newest snapshot, or else at the start of the log."""

import hashlib

from msgspec.structs import replace

from fleetfold_bus.port import Bus, BusError
from fleetfold_bus.streams import EVENTS, SAMPLES
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_contracts.snapshots import SnapshotAnswer, SnapshotPart, SnapshotPartQuery
from fleetfold_contracts.subjects import Subjects
from fleetfold_core.facts import forget_samples
from fleetfold_core.state import State
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.origin import origin_of

ANSWER_WITHIN_S = 1.0
PART_WITHIN_S = 5.0

_log = get_logger()


async def borrowed_state(bus: Bus, subjects: Subjects, share: Share = WHOLE) -> State | None:
    """The state of a projector's newest snapshot. None: no projector has one that can be believed.

    A projector of another share than `share` has other telemetry: its facts are taken, and all samples that are still
    there are read anew.
    """
    try:
        answer = await bus.ask(subjects.api("snapshot"), b"{}", timeout_s=ANSWER_WITHIN_S)
        offered = codec.decode(answer, SnapshotAnswer)
        if not await _is_of_this_log(bus, subjects, offered, share):
            _log.warning("a projector's snapshot is of another log, or of another version")
            return None
        state = State.decode(await _fetched(bus, offered))
        if offered.origin.share != str(share):
            forget_samples(state)
    except (BusError, ContractError) as error:
        _log.info("the log is folded from its start", reason=str(error))
        return None
    _log.info("begins with a projector's snapshot", position=state.position)
    return state


async def _is_of_this_log(bus: Bus, subjects: Subjects, offered: SnapshotAnswer, share: Share) -> bool:
    return (
        replace(offered.origin, share=str(share)) == await origin_of(bus, subjects, share)
        and offered.position <= await bus.last_sequence(subjects.stream(EVENTS))
        and offered.samples_position <= await bus.last_sequence(subjects.stream(SAMPLES))
    )


async def _fetched(bus: Bus, offered: SnapshotAnswer) -> bytes:
    payload = bytearray()
    for number in range(offered.part_count):
        query = codec.encode(SnapshotPartQuery(digest=offered.digest, number=number))
        payload += codec.decode(await bus.ask(offered.ask, query, timeout_s=PART_WITHIN_S), SnapshotPart).data
    if hashlib.blake2b(payload, digest_size=32).hexdigest() != offered.digest:
        raise ContractError("the parts of a projector's snapshot are not the whole of it")
    return bytes(payload)
