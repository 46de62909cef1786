"""The two doors of a command, and the one path behind them.

`<root>.cmd.<verb>` is durable: its outcome is an event. `<root>.api.<verb>` appends the same command there, and answers
with the outcome.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress

from fleetfold_bus.port import Answer, Bus, BusError, Delivery, Endpoint, Queue, Record, Request, TooLargeError
from fleetfold_bus.streams import COMMANDS as COMMAND_STREAM
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import Failure, FailureAnswer
from fleetfold_contracts.commands import COMMANDS, Command
from fleetfold_contracts.ids import CommandId, check_token
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.metrics import COMMANDS_DONE, DECISION_SECONDS
from fleetfold_runtime.stopping import sleep_unless, unless_stopped, until

MESSAGE_ID = "Nats-Msg-Id"
OUTCOME_WITHIN_S = 4.0
"""Less than the 5 s for which `nats req` waits, so that the answer says what becomes of the command."""
SETTLE_WITHIN_S = 10.0
"""What somebody held who died is handed to others after so long."""
TRY_AGAIN_AFTER_S = 0.5
GIVE_UP_AFTER_ATTEMPTS = 5
SHOWN_PAYLOAD_CHARACTERS = 16_384

_log = get_logger()


def command_id_of(record: Record, given: CommandId | None) -> CommandId:
    """The id by which a command is done once: its own, its message's, or one made of its place in the stream.

    The time is part of the last, because a stream that was deleted and made anew counts from 1 again.
    """
    if given is not None:
        return given
    header = record.headers.get(MESSAGE_ID)
    return id_of_header(header) if header else f"cmd-{record.sequence}-{int(record.time.timestamp() * 1000)}"


def id_of_header(header: str) -> CommandId:
    """The id that a message id stands for: itself where it is a token, and a digest of it otherwise."""
    try:
        return check_token(header)
    except ValueError:
        return f"msg-{hashlib.blake2b(header.encode(), digest_size=16).hexdigest()}"


def outcome_id(command_id: CommandId) -> str:
    """The message id of a command's outcome, whatever it is: the log takes one."""
    return f"{command_id}.outcome"


def rejection(verb: str, record: Record, error: codec.ContractError) -> evt.CommandRejected:
    """The event that says why a command makes no sense."""
    return evt.CommandRejected(
        verb=verb[:256],
        reason=error.reason[:4096],
        field=error.field[:4096],
        payload=record.payload[:SHOWN_PAYLOAD_CHARACTERS].decode(errors="replace"),
        payload_bytes=len(record.payload),
        command_sequence=record.sequence,
    )


def failure(code: str, message: str, field: str | None = None) -> Answer:
    """An answer that is an error, readable in its body."""
    body = FailureAnswer(error=Failure(code=code, message=message, field=field))
    return Answer(codec.encode(body), error_code=code, error_message=message)


def rejected_answer(error: codec.ContractError) -> Answer:
    """The answer to a question that makes no sense."""
    return failure("400", error.reason, error.field)


class CommandDoor:
    """Serves `<root>.api.<verb>` for some verbs."""

    def __init__(self, bus: Bus, subjects: Subjects, live: LiveState, stop: asyncio.Event) -> None:
        """`live` must follow the log: the outcome is seen there. When `stop` is set, nobody is kept waiting."""
        self._bus = bus
        self._stop = stop
        self._subjects = subjects
        self._live = live

    def endpoints(self, verbs: Iterable[str]) -> list[Endpoint]:
        """One endpoint a verb, with its schema's name as metadata."""
        return [
            Endpoint(
                name=verb,
                subject=self._subjects.api(verb),
                handler=self._handler(verb),
                metadata={"schema": f"{COMMANDS[verb].__name__}.json", "answer": "the outcome event, or an error"},
            )
            for verb in verbs
        ]

    def _handler(self, verb: str) -> Callable[[Request], Awaitable[Answer]]:
        async def handle(request: Request) -> Answer:
            try:
                command = codec.decode_command(verb, request.payload, request.headers)
            except codec.ContractError as error:
                return rejected_answer(error)
            command_id = command.command_id or id_of_header(request.headers.get(MESSAGE_ID) or uuid.uuid4().hex)
            try:
                async with asyncio.timeout(OUTCOME_WITHIN_S):
                    outcome = await unless_stopped(self._stop, self._done(verb, command_id, request))
            except TimeoutError:
                return failure("408", f"no outcome yet; ask again for command {command_id}, it is done once")
            except TooLargeError as error:
                return failure("400", str(error), "$")
            except BusError as error:
                return failure("503", f"ask again for command {command_id}, it is done once: {error}")
            if outcome is None:
                return failure("503", f"the service stops; ask again for command {command_id}, it is done once")
            return _answer(outcome)

        return handle

    async def _done(self, verb: str, command_id: CommandId, request: Request) -> bytes:
        outcome = asyncio.ensure_future(self._live.outcome(command_id))
        try:
            if command_id not in self._live.state.outcomes:
                headers = _content_type(request.headers)
                subject = self._subjects.command(verb)
                await self._bus.append(subject, request.payload, message_id=command_id, headers=headers)
            return await outcome
        finally:
            outcome.cancel()


def _content_type(headers: Mapping[str, str]) -> dict[str, str]:
    kind = headers.get(codec.CONTENT_TYPE)
    return {codec.CONTENT_TYPE: kind} if kind else {}


def _answer(outcome: bytes) -> Answer:
    event = codec.decode_event(codec.decode_envelope(outcome))
    if isinstance(event, evt.CommandRejected):
        return failure("400", event.reason, event.field)
    return Answer(outcome)


BringAbout = Callable[[Command, CommandId, Delivery], Awaitable[None]]
"""Puts the outcome of a command into the log, unless it lies there already.

Raises a ContractError when the command makes no sense, and a BusError when the server does not answer.
"""


class CommandLoop:
    """Takes commands from the stream one after another. A command is settled after its outcome is in the log."""

    def __init__(
        self, bus: Bus, subjects: Subjects, clock: Clock, live: LiveState, *, name: str, verbs: Collection[str]
    ) -> None:
        """All loops of one `name` share the commands. Known ones that are not of `verbs` are left to others."""
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._live = live
        self._name = name
        self._verbs = verbs

    async def run(self, stop: asyncio.Event, filters: tuple[str, ...], bring_about: BringAbout) -> None:
        """Handle commands until `stop` is set. The one in hand is finished."""
        queue = Queue(self._subjects.stream(COMMAND_STREAM), self._name, filters, settle_within_s=SETTLE_WITHIN_S)
        settling: set[asyncio.Task[None]] = set()
        async for delivery in until(stop, self._bus.pull(queue)):
            settle = _done if await self._handled(stop, delivery, bring_about) else _again
            task = asyncio.create_task(settle(delivery))
            settling.add(task)
            task.add_done_callback(settling.discard)
        if settling:
            await asyncio.wait(settling)

    async def _handled(self, stop: asyncio.Event, delivery: Delivery, bring_about: BringAbout) -> bool:
        subject = delivery.record.subject
        seen_before = delivery.attempt > 1
        while True:
            try:
                if seen_before:
                    await self._live.catch_up()  # its outcome may be in the log
                await self._handle(delivery, bring_about)
            except BusError as error:
                _log.info("a command waits for the server", subject=subject, reason=str(error))
                seen_before = True
                if await sleep_unless(stop, TRY_AGAIN_AFTER_S):
                    return False
            except Exception:  # noqa: BLE001 - a fault of ours must not stop the commands behind this one
                _log.exception("a command could not be handled", subject=subject, attempt=delivery.attempt)
                return await self._given_up(delivery)
            else:
                return True

    async def _given_up(self, delivery: Delivery) -> bool:
        if delivery.attempt < GIVE_UP_AFTER_ATTEMPTS:
            return False
        await self._reject(delivery.record, codec.ContractError("it cannot be handled, which is a fault of ours"))
        return True

    async def _handle(self, delivery: Delivery, bring_about: BringAbout) -> None:
        record = delivery.record
        verb = self._subjects.verb(record.subject)
        if verb in COMMANDS and verb not in self._verbs:
            return
        started_s = self._clock.monotonic_s()
        command_id = None
        try:
            command = codec.decode_command(verb, record.payload, record.headers)
            command_id = command.command_id
            await bring_about(command, command_id_of(record, command_id), delivery)
        except codec.ContractError as error:
            await self._reject(record, error, command_id)
        except TooLargeError as error:
            await self._reject(record, codec.ContractError(f"its outcome is too large: {error}"), command_id)
        DECISION_SECONDS.observe(self._clock.monotonic_s() - started_s)

    async def _reject(self, record: Record, error: codec.ContractError, command_id: CommandId | None = None) -> None:
        event = rejection(self._subjects.verb(record.subject), record, error)
        await self.append_outcome(event, command_id_of(record, command_id))

    async def append_outcome(self, event: evt.Event, command_id: CommandId) -> int:
        """Append a command's outcome where no guard is needed, and wait until it is folded. Gives its sequence."""
        payload = self.outcome_payload(event, command_id)
        appended = await self._bus.append(self._subjects.event(event), payload, message_id=outcome_id(command_id))
        await self._live.reached(appended.sequence)
        self.count(event)
        return appended.sequence

    def outcome_payload(self, event: evt.Event, command_id: CommandId) -> bytes:
        """A command's outcome in its envelope."""
        return codec.encode_event(
            event, id=outcome_id(command_id), source=self._name, time=self._clock.now(), cause=command_id
        )

    def count(self, event: evt.Event) -> None:
        """Count a command as done."""
        COMMANDS_DONE.labels(outcome=evt.TYPE_OF_EVENT[type(event)]).inc()


async def _done(delivery: Delivery) -> None:
    try:
        await delivery.done()
    except BusError as error:
        # It comes again, and is then found done.
        _log.info("a command could not be settled", reason=str(error))


async def _again(delivery: Delivery) -> None:
    with suppress(BusError):  # unsettled, it comes again by itself
        await delivery.again(TRY_AGAIN_AFTER_S)
