"""Asking the projectors of the other shares of the fleet for their parts of an answer."""

import asyncio
from typing import Generic, NamedTuple, TypeVar

import msgspec

from fleetfold_bus.port import Bus, BusError
from fleetfold_contracts import codec
from fleetfold_contracts.answers import FailureAnswer
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.shares import Share
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.logs import get_logger

PART_WITHIN_S = 2.0

AnswerT = TypeVar("AnswerT", bound=msgspec.Struct)

_log = get_logger()


class Heard(NamedTuple, Generic[AnswerT]):
    """The parts of those that answered, and the names of the shares that did not."""

    parts: list[AnswerT]
    silent: tuple[str, ...]


class OtherShares:
    """All shares but one: of each, any of its projectors answers."""

    def __init__(self, bus: Bus, subjects: Subjects, own: Share) -> None:
        """`own` is the share that need not be asked."""
        self._bus = bus
        self._subjects = subjects
        self._others = own.others()

    async def parts(self, verb: str, query: msgspec.Struct, kind: type[AnswerT]) -> Heard[AnswerT]:
        """Their parts. A share whose projectors are away, late or behind is silent."""
        parts = await asyncio.gather(*(self._part(share, verb, query, kind) for share in self._others))
        silent = tuple(str(share) for share, part in zip(self._others, parts, strict=True) if part is None)
        return Heard([part for part in parts if part is not None], silent)

    async def answer_of(self, share: Share, verb: str, query: msgspec.Struct, kind: type[AnswerT]) -> AnswerT:
        """What one share answers.

        Raises:
            ContractError: the question makes no sense to it.
            BusError: it is silent.
        """
        subject = self._subjects.share_api(share, verb)
        payload = await self._bus.ask(subject, codec.encode(query), timeout_s=PART_WITHIN_S)
        _raise_failure(payload)
        return codec.decode(payload, kind)

    async def _part(self, share: Share, verb: str, query: msgspec.Struct, kind: type[AnswerT]) -> AnswerT | None:
        try:
            return await self.answer_of(share, verb, query, kind)
        except (BusError, ContractError) as error:
            _log.debug("a share is silent", share=str(share), verb=verb, reason=str(error))
            return None


def _raise_failure(payload: bytes) -> None:
    try:
        failure = codec.decode(payload, FailureAnswer).error
    except ContractError:
        return  # It is no failure.
    raise ContractError(failure.message, failure.field or "$")
