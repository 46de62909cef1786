"""The declared streams on the server: made where they are missing, compared where they are there."""

import asyncio
import logging
from collections.abc import Iterable

from fleetfold_bus.nats._api import (
    NANOSECONDS,
    NO_SUCH_STREAM,
    STREAM_NAME_IN_USE,
    ApiError,
    JetStreamApi,
    JetStreamOffError,
    StreamConfig,
)
from fleetfold_bus.port import BusError, StreamMismatchError, UnreachableError
from fleetfold_bus.streams import Stream

READY_WITHIN_S = 30.0
RETRY_S = 0.5

_log = logging.getLogger(__name__)


async def ensure(api: JetStreamApi, streams: Iterable[Stream]) -> None:
    """See `ensure_streams` of the port. Waits a while for a cluster that has no leader yet."""
    for stream in streams:
        wanted = _config(stream)
        _check(await _found_when_ready(api, wanted), wanted)


async def problem(api: JetStreamApi, stream: Stream) -> str | None:
    """What is wrong with a stream on the server, and what to do about it; None where it is as declared."""
    wanted = _config(stream)
    try:
        _check((await api.stream(wanted.name)).config, wanted)
    except ApiError as error:
        missing = error.err_code == NO_SUCH_STREAM
        return f"the stream {wanted.name} is not there: start a service, which makes it" if missing else str(error)
    except BusError as error:
        return str(error)
    return None


async def _found_when_ready(api: JetStreamApi, wanted: StreamConfig) -> StreamConfig:
    give_up_at_s = asyncio.get_running_loop().time() + READY_WITHIN_S
    while True:
        try:
            return await _found_or_made(api, wanted)
        except JetStreamOffError as error:
            raise BusError(str(error)) from None
        except UnreachableError as error:
            if asyncio.get_running_loop().time() >= give_up_at_s:
                raise
            _log.info("the stream %s has to wait: %s", wanted.name, error)
            await asyncio.sleep(RETRY_S)


async def _found_or_made(api: JetStreamApi, wanted: StreamConfig) -> StreamConfig:
    try:
        return (await api.stream(wanted.name)).config
    except ApiError as error:
        if error.err_code != NO_SUCH_STREAM:
            raise
    try:
        return (await api.create_stream(wanted)).config
    except ApiError as error:
        if error.err_code != STREAM_NAME_IN_USE:
            raise
    return (await api.stream(wanted.name)).config  # Somebody made it in between.


def _config(stream: Stream) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=stream.subjects,
        retention=stream.keeps,
        max_age=stream.max_age_s * NANOSECONDS,
        duplicate_window=stream.duplicate_window_s * NANOSECONDS,
        num_replicas=stream.replicas,
    )


def _check(found: StreamConfig, wanted: StreamConfig) -> None:
    """Raises `StreamMismatchError` with all settings that differ, and what to type about each."""
    differences = [
        f"{setting} is {_shown(found, setting)}, declared is {_shown(wanted, setting)}: {_fix(wanted, setting)}"
        for setting in StreamConfig.__struct_fields__
        if getattr(found, setting) != getattr(wanted, setting)
    ]
    if differences:
        raise StreamMismatchError(f"the stream {wanted.name} differs from what is declared. " + "; ".join(differences))


_SECONDS_SETTINGS = frozenset({"max_age", "duplicate_window"})
_EDIT_FLAGS = {
    "subjects": "--subjects",
    "max_age": "--max-age",
    "duplicate_window": "--dupe-window",
    "num_replicas": "--replicas",
}
"""What `nats stream edit` can change. The rest is fixed when a stream is made."""


def _shown(config: StreamConfig, setting: str) -> str:
    value = getattr(config, setting)
    if setting in _SECONDS_SETTINGS:
        return f"{value // NANOSECONDS}s"
    return ",".join(config.subjects) if setting == "subjects" else str(value)


def _fix(wanted: StreamConfig, setting: str) -> str:
    flag = _EDIT_FLAGS.get(setting)
    if flag is None:
        return f"it cannot be changed; back the stream up, then `nats stream rm {wanted.name}`"
    return f"`nats stream edit {wanted.name} {flag}={_shown(wanted, setting)}`"
