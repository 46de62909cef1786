"""The JetStream API: requests and answers in JSON, on subjects below `$JS.API`."""

from datetime import datetime
from typing import TypeVar

import msgspec

from fleetfold_bus.nats._replies import NobodyListensError, NoReplyError, Replies
from fleetfold_bus.port import BusError, UnreachableError

API_WITHIN_S = 5.0
NANOSECONDS = 1_000_000_000

NO_SUCH_STREAM = 10059
NO_SUCH_MESSAGE = 10037
STREAM_NAME_IN_USE = 10058
_NOT_ENABLED = frozenset({10076, 10039})
_UNAVAILABLE = 503

T = TypeVar("T")


class JetStreamOffError(UnreachableError):
    """JetStream is not there: never, or not now, because the server is about to end or has just begun."""

    def __init__(self, description: str) -> None:
        super().__init__(
            f"JetStream is off on the NATS server ({description}): start it with `-js`, or enable it for this account"
        )


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says went wrong."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class ApiError(BusError):
    """The server refuses a request. `err_code` tells which of its errors it is."""

    def __init__(self, subject: str, problem: Problem) -> None:
        super().__init__(f"{subject}: {problem.description} ({problem.err_code})")
        self.err_code = problem.err_code


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a stream goes."""

    last_seq: int = 0


class StreamConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a stream that are declared. Times are in nanoseconds."""

    name: str
    subjects: tuple[str, ...] = ()
    retention: str = "limits"
    storage: str = "file"
    max_age: int = 0
    max_bytes: int = -1
    duplicate_window: int = 0
    num_replicas: int = 1


class BucketConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a stream that is a bucket: those that `nats kv add` gives it."""

    name: str
    subjects: tuple[str, ...]
    num_replicas: int = 1
    storage: str = "file"
    retention: str = "limits"
    discard: str = "new"
    max_msgs_per_subject: int = 1
    allow_direct: bool = True
    allow_rollup_hdrs: bool = True
    deny_delete: bool = True
    allow_msg_ttl: bool = True


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as it is."""

    config: StreamConfig
    created: datetime
    state: StreamState


class ConsumerConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings of a consumer. Times are in nanoseconds."""

    name: str
    ack_policy: str
    deliver_policy: str = "all"
    durable_name: str | None = None
    opt_start_seq: int | None = None
    filter_subject: str | None = None
    filter_subjects: tuple[str, ...] = ()
    ack_wait: int | None = None
    max_ack_pending: int | None = None
    inactive_threshold: int | None = None
    num_replicas: int = 0
    mem_storage: bool = False


class ConsumerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer as it is. `num_pending` messages wait for it."""

    name: str
    num_pending: int = 0


class _Outcome(msgspec.Struct, frozen=True, kw_only=True):
    error: Problem | None = None


class _NewConsumer(msgspec.Struct, frozen=True, kw_only=True):
    stream_name: str
    config: ConsumerConfig


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the API gives it: all but its sequence in base64."""

    seq: int
    data: bytes = b""
    hdrs: bytes = b""

    @property
    def deleted(self) -> bool:
        """Whether it says of a bucket's key that it is gone."""
        return b"KV-Operation:" in self.hdrs


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    message: StoredMessage


class JetStreamApi:
    """What Fleetfold asks of it.

    Each method raises `ApiError` where the server refuses, and `UnreachableError` where no server answers, where its
    cluster has no leader yet, or where JetStream is off.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    async def stream(self, name: str) -> StreamInfo:
        """A stream as it is."""
        return await self._call(f"STREAM.INFO.{name}", None, StreamInfo)

    async def create_stream(self, config: StreamConfig | BucketConfig) -> StreamInfo:
        """Make a stream. One that exists with the same settings is as good."""
        return await self._call(f"STREAM.CREATE.{config.name}", config, StreamInfo)

    async def last_sequence(self, stream: str, subject: str) -> int:
        """The sequence of the newest message on a subject, which may have wildcards; 0 where there is none."""
        message = await self.last_message(stream, subject)
        return 0 if message is None else message.seq

    async def last_message(self, stream: str, subject: str) -> StoredMessage | None:
        """The newest message on a subject, which may have wildcards."""
        try:
            stored = await self._call(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject}, _Stored)
        except ApiError as error:
            if error.err_code == NO_SUCH_MESSAGE:
                return None
            raise
        return stored.message

    async def create_consumer(self, stream: str, config: ConsumerConfig) -> ConsumerInfo:
        """Make a consumer, or bring one up to date. With a single filter the server can hold it to a permission."""
        subject = f"CONSUMER.CREATE.{stream}.{config.name}"
        if config.filter_subject is not None:
            subject += f".{config.filter_subject}"
        return await self._call(subject, _NewConsumer(stream_name=stream, config=config), ConsumerInfo)

    async def _call(self, verb: str, body: object, kind: type[T]) -> T:
        subject = f"$JS.API.{verb}"
        payload = b"" if body is None else msgspec.json.encode(body)
        try:
            answer = await self._replies.ask(subject, payload, timeout_s=API_WITHIN_S)
        except NobodyListensError as error:
            raise JetStreamOffError(str(error)) from None
        except NoReplyError as error:
            raise UnreachableError(f"JetStream: {error}") from None
        problem = msgspec.json.decode(answer.data, type=_Outcome).error
        if problem is not None:
            raise _error_for(verb, problem)
        return msgspec.json.decode(answer.data, type=kind)


def _error_for(verb: str, problem: Problem) -> BusError:
    if problem.err_code in _NOT_ENABLED:
        return JetStreamOffError(problem.description)
    if problem.code == _UNAVAILABLE:
        return UnreachableError(f"JetStream is not ready: {problem.description}")
    return ApiError(verb, problem)
