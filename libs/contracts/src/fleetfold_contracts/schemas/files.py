"""The folder of schemas: what belongs there, writing it, and finding what is stale."""

import json
from pathlib import Path
from typing import Any

from fleetfold_contracts import codec
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.schemas.asyncapi import asyncapi
from fleetfold_contracts.schemas.catalogue import (
    MESSAGES,
    Channel,
    Message,
    channels,
    is_event,
    message_name,
)
from fleetfold_contracts.schemas.json_schemas import json_schema
from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects

TYPES = "types"
GOLDEN = "golden"


def generated() -> dict[str, str]:
    """Each file that follows from the structs, by its path in the folder."""
    every_channel = channels(Subjects())
    types = {f"{TYPES}/{message.__name__}.json": _text(json_schema(message)) for message in MESSAGES}
    subjects = {"root": DEFAULT_ROOT, "subjects": [_entry(channel) for channel in every_channel]}
    return types | {"subjects.json": _text(subjects), "asyncapi.json": _text(asyncapi(every_channel))}


def golden() -> dict[str, str]:
    """Each golden message by its path, as it would be written today."""
    return {
        f"{GOLDEN}/{message_name(message)}.json": _text(json.loads(payload))
        for message, payload in examples.payloads().items()
    }


def write(folder: Path) -> None:
    """Bring the folder up to date. A golden message that is there stays as it is: logs hold its like for ever."""
    files = generated()
    missing = {path: text for path, text in golden().items() if not (folder / path).exists()}
    for path, text in (files | missing).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    for path in _left_over(folder, files):
        (folder / path).unlink()


def stale(folder: Path) -> list[str]:
    """The paths of files that are missing, differ from what the structs say, or belong to no struct."""
    files = generated()
    differing = [path for path, text in files.items() if _read(folder / path) != text]
    missing = [path for path in golden() if not (folder / path).exists()]
    return sorted([*differing, *missing, *_left_over(folder, files)])


def _left_over(folder: Path, files: dict[str, str]) -> list[str]:
    found = (path.relative_to(folder).as_posix() for path in (folder / TYPES).glob("*"))
    return [path for path in found if path not in files]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _entry(channel: Channel) -> dict[str, Any]:
    return {
        "kind": channel.kind,
        "subject": channel.subject,
        "filter": channel.filter,
        "stream": channel.stream,
        **_content(channel.message),
        "answers": [_content(answer) for answer in channel.answers],
        "published_by": sorted(channel.published_by),
        "read_by": sorted(channel.read_by),
    }


def _content(message: Message) -> dict[str, str]:
    # What a message holds, by the schema's file; an event is the `data` of an envelope.
    own = f"{TYPES}/{message.__name__}.json"
    envelope = f"{TYPES}/{codec.Envelope.__name__}.json"
    return {"carries": envelope, "data": own} if is_event(message) else {"carries": own}


def _text(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
