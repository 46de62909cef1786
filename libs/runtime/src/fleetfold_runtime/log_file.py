"""The log as a file: JSON lines, each a record with its sequence, the server's time, its subject and its payload."""

import asyncio
import gzip
import zlib
from collections.abc import Iterator
from contextlib import aclosing
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path
from typing import cast

import msgspec

from fleetfold_bus.port import Bus, Record
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts.subjects import Subjects

APPENDED_AT_ONCE = 500


class LogFileError(Exception):
    """A file does not hold a log, or not all of it. The message names the file and the line."""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    sequence: int
    time: datetime
    subject: str
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    payload_base64: bytes | None = None
    """Instead, for what is no JSON on one line: it comes back to the byte."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Line)


async def write_log(bus: Bus, subjects: Subjects, file: Path) -> int:
    """Write the whole log as it is now. A name that ends in `.gz` is compressed. Gives how many records there are.

    Raises:
        OSError: the file cannot be written.
        BusError: the server does not answer.
    """
    stream = subjects.stream(EVENTS)
    last = await bus.last_sequence(stream)
    count = 0
    with _opened(file, "wb") as written:
        if not last:
            return 0
        async with aclosing(bus.read(stream)) as pages:
            async for records in pages:
                for record in records:
                    if record.sequence > last:
                        return count
                    written.write(_line(record) + b"\n")
                    count += 1
                if records and records[-1].sequence >= last:
                    return count
    return count


def read_log(file: Path) -> Iterator[Record]:
    """The records of a file, in order and without a gap.

    Raises:
        LogFileError: it cannot be read, or is damaged.
    """
    number = 0
    try:
        with _opened(file, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield _record(line, number)
    except (OSError, EOFError, zlib.error) as error:
        raise LogFileError(f"{file}, behind line {number}: cannot be read: {error}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise LogFileError(f"{file}, line {number}: {error}") from error


def check_log(file: Path, subjects: Subjects) -> None:
    """Read a file through.

    Raises:
        LogFileError: it is damaged, or of another root.
    """
    for record in read_log(file):
        if not record.subject.startswith(f"{subjects.root}.evt."):
            root = record.subject.partition(".evt.")[0]
            message = f"is of the root {root!r}, not {subjects.root!r}; start with --root {root}"
            raise LogFileError(f"{file}, line {record.sequence}: {message}")


async def restore_log(bus: Bus, file: Path) -> int:
    """Append the records of a file to an empty log, each under its old sequence. Gives how many there are.

    Raises:
        LogFileError: the file is damaged, or the log is not empty.
        BusError: the server does not answer.
    """
    count = 0
    window: list[Record] = []
    for record in read_log(file):
        window.append(record)
        if len(window) == APPENDED_AT_ONCE:
            count += await _append(bus, window, file)
            window = []
    return count + await _append(bus, window, file)


async def _append(bus: Bus, records: list[Record], file: Path) -> int:
    # Ids of their own: in the log an id may come twice, long after each other.
    appends = (
        bus.append(record.subject, record.payload, message_id=f"restored.{record.sequence}") for record in records
    )
    for record, appended in zip(records, await asyncio.gather(*appends), strict=True):
        if appended.sequence != record.sequence:
            raise LogFileError(f"{file}, line {record.sequence}: lies at {appended.sequence} now; was the log empty?")
    return len(records)


def _opened(file: Path, mode: str) -> BufferedIOBase:
    return cast("BufferedIOBase", gzip.open(file, mode) if file.suffix == ".gz" else file.open(mode))


def _line(record: Record) -> bytes:
    line: dict[str, object] = {"sequence": record.sequence, "time": record.time, "subject": record.subject}
    if _is_one_line_of_json(record.payload):
        line["payload"] = msgspec.Raw(record.payload)
    else:
        line["payload_base64"] = record.payload  # as msgspec encodes bytes
    return _encoder.encode(line)


def _is_one_line_of_json(payload: bytes) -> bool:
    try:
        msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return payload == payload.strip() and b"\n" not in payload


def _record(line: bytes, number: int) -> Record:
    found = _decoder.decode(line)
    if found.sequence != number:
        raise ValueError(f"has sequence {found.sequence}, where {number} is next: a line is missing, or out of order")
    payload = bytes(found.payload) if found.payload_base64 is None else found.payload_base64
    if not payload and found.payload_base64 is None:
        raise ValueError("has neither `payload` nor `payload_base64`")
    return Record(found.subject, found.sequence, found.time, payload)
