"""The two doors of a command, and the one path behind them.

`<root>.cmd.<verb>` is durable: its outcome is an event. `<root>.api.<verb>` appends the same command there, and answers
with the outcome.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping

from fleetfold_bus.port import Answer, Bus, BusError, Delivery, Endpoint, Queue, Record, Request, TooLargeError
from fleetfold_bus.streams import COMMANDS as COMMAND_STREAM
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.answers import Failure, FailureAnswer
from fleetfold_contracts.commands import COMMANDS
from fleetfold_contracts.ids import CommandId, token
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.clock import Clock
from fleetfold_runtime.live_state import LiveState
from fleetfold_runtime.logs import get_logger
from fleetfold_runtime.metrics import COMMANDS_DONE
from fleetfold_runtime.stopping import until

MESSAGE_ID = "Nats-Msg-Id"
OUTCOME_WITHIN_S = 10.0
SHOWN_PAYLOAD_CHARACTERS = 16_384

_log = get_logger()


def command_id_of(record: Record, given: CommandId | None) -> CommandId:
    """The id by which a command is done once: its own, its message's, or one made of its place in the stream.

    The time is part of the last, because a stream that was deleted and made anew counts from 1 again.
    """
    if given is not None:
        return given
    header = record.headers.get(MESSAGE_ID)
    if header is not None:
        return token(header)
    return f"cmd-{record.sequence}-{int(record.time.timestamp() * 1000)}"


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

    def __init__(self, bus: Bus, subjects: Subjects, live: LiveState) -> None:
        """`live` must follow the log: the outcome is seen there."""
        self._bus = bus
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
            command_id = command.command_id or token(request.headers.get(MESSAGE_ID) or uuid.uuid4().hex)
            try:
                async with asyncio.timeout(OUTCOME_WITHIN_S):
                    return _answer(await self._done(verb, command_id, request))
            except TimeoutError:
                return failure("408", f"no outcome yet; command {command_id} is kept and will be done")
            except TooLargeError as error:
                return failure("400", str(error), "$")
            except BusError as error:
                return failure("503", f"command {command_id} may be lost, ask again with its id: {error}")

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


Handle = Callable[[Delivery], Awaitable[None]]


class CommandLoop:
    """Takes commands from the stream one after another. A command is settled after its outcome is in the log."""

    def __init__(self, bus: Bus, subjects: Subjects, clock: Clock, live: LiveState, *, name: str) -> None:
        """All loops of one `name` share the commands."""
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._live = live
        self._name = name

    async def run(self, stop: asyncio.Event, filters: tuple[str, ...], handle: Handle) -> None:
        """Handle commands until `stop` is set. The one in hand is finished."""
        queue = Queue(self._subjects.stream(COMMAND_STREAM), self._name, filters)
        settling: set[asyncio.Task[None]] = set()
        async for delivery in until(stop, self._bus.pull(queue)):
            if delivery.attempt > 1:
                await self._live.catch_up()  # somebody may have done it, and died before it was settled
            try:
                await handle(delivery)
            except BusError as error:
                _log.warning("a command is tried again", subject=delivery.record.subject, reason=str(error))
                continue  # not settled, it comes again
            task = asyncio.create_task(_settle(delivery))
            settling.add(task)
            task.add_done_callback(settling.discard)
        if settling:
            await asyncio.wait(settling)

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


async def _settle(delivery: Delivery) -> None:
    try:
        await delivery.done()
    except BusError as error:
        # It comes again, and is then found done.
        _log.info("a command could not be settled", reason=str(error))
