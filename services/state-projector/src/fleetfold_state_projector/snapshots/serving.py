"""Handing snapshots out, part by part."""

import secrets

from fleetfold_bus.port import Answer, Endpoint, Request
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.snapshots import SnapshotAnswer, SnapshotPart, SnapshotPartQuery, SnapshotQuery
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.commands import failure, rejected_answer
from fleetfold_state_projector.snapshots.store import SnapshotStore

VERB = "snapshot"


class SnapshotServing:
    """Answers which snapshot is the newest, and gives its parts on a subject of its own.

    All projectors share the questions, so a part must be asked of the one that named the snapshot.
    """

    def __init__(self, subjects: Subjects, store: SnapshotStore) -> None:
        self._store = store
        self._subject = subjects.api(VERB)
        self._own_subject = subjects.snapshot_parts(secrets.token_hex(8))

    def endpoints(self) -> list[Endpoint]:
        """Two: what there is, and its parts."""
        return [
            Endpoint(VERB, self._subject, self._newest, {"schema": f"{SnapshotQuery.__name__}.json"}),
            Endpoint(f"{VERB}-part", self._own_subject, self._part, {"schema": f"{SnapshotPartQuery.__name__}.json"}),
        ]

    async def _newest(self, request: Request) -> Answer:
        try:
            codec.decode_query(SnapshotQuery, request.payload, request.headers)
        except ContractError as error:
            return rejected_answer(error)
        newest = self._store.newest
        if newest is None:
            return failure("404", "this projector has no snapshot yet")
        answer = SnapshotAnswer(
            origin=newest.origin,
            position=newest.position,
            samples_position=newest.samples_position,
            digest=newest.digest,
            size_bytes=newest.size_bytes,
            part_count=newest.part_count,
            ask=self._own_subject,
        )
        return Answer(codec.encode(answer))

    async def _part(self, request: Request) -> Answer:
        try:
            query = codec.decode_query(SnapshotPartQuery, request.payload, request.headers)
        except ContractError as error:
            return rejected_answer(error)
        data = await self._store.part(query.digest, query.number)
        if data is None:
            return failure("404", "this projector keeps no such part, or no longer")
        return Answer(codec.encode(SnapshotPart(data=data)))
