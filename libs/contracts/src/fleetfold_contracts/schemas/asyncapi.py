"""The channels and messages as one AsyncAPI 3.0 document."""

import json
from collections.abc import Iterable
from typing import Any, cast

from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.schemas.catalogue import (
    MESSAGES,
    SERVICES,
    Channel,
    Message,
    is_event,
    message_name,
)
from fleetfold_contracts.schemas.json_schemas import Schema, definitions_of

SCHEMAS = "#/components/schemas/{name}"

PARAMETERS = {
    "node_id": "The node that it is about.",
    "pool": "The pool whose allocations it changes.",
    "device_id": "The device whose worker takes it.",
    "share": "The share of the fleet whose projectors are asked, such as `2-of-4`.",
    "instance": "The projector that is asked, and no other of its kind: it says its subject itself.",
}

INFO = {
    "title": "Fleetfold",
    "version": "1.0.0",
    "license": {"name": "Apache-2.0"},
    "description": (
        "What Fleetfold's services send and receive on NATS. The first token of every subject, `fleet`, is a setting. "
        "An event lies in an envelope; everything else is bare. JSON is sent, and MessagePack is taken too for what "
        "people ask, where the header `Content-Type: application/msgpack` says so."
    ),
}


def asyncapi(channels: Iterable[Channel]) -> Schema:
    """The document. It speaks for the services: they `send` events, and `receive` commands."""
    document: Schema = {
        "asyncapi": "3.0.0",
        "info": INFO,
        "defaultContentType": codec.JSON,
        "channels": {},
        "operations": {},
        "components": {
            "messages": {message.__name__: _message(message) for message in MESSAGES if message is not codec.Envelope},
            "schemas": {name: _draft_7(schema) for name, schema in definitions_of(MESSAGES, SCHEMAS).items()},
        },
    }
    for channel in channels:
        document["channels"] |= _channels(channel)
        document["operations"] |= _operations(channel)
    return document


def _message(message: Message) -> Schema:
    data = {"$ref": SCHEMAS.format(name=message.__name__)}
    payload = _enveloped(cast("type[evt.Event]", message), data) if is_event(message) else data
    shown = {
        "name": message_name(message),
        "title": message.__name__,
        "summary": (message.__doc__ or "").partition("\n")[0],
        "contentType": codec.JSON,
        "payload": payload,
    }
    example = examples.payloads().get(message)
    return shown | {"examples": [{"payload": json.loads(example)}]} if example else shown


def _enveloped(event: type[evt.Event], data: Schema) -> Schema:
    narrowed = {"properties": {"type": {"const": codec.event_type(event)}, "data": data}, "required": ["data"]}
    return {"allOf": [{"$ref": SCHEMAS.format(name=codec.Envelope.__name__)}, narrowed]}


def _channels(channel: Channel) -> Schema:
    asked: Schema = {"address": channel.subject, "messages": _message_references([channel.message])}
    asked["description"] = f"Kept in the stream {channel.stream}." if channel.stream else "Answered, and not kept."
    if channel.parameters:
        asked["parameters"] = {name: {"description": PARAMETERS[name]} for name in channel.parameters}
    if not channel.answers:
        return {channel.name: asked}
    answered = {
        "address": None,
        "description": "The inbox that the question names.",
        "messages": _message_references(channel.answers),
    }
    return {channel.name: asked, _answer_name(channel): answered}


def _operations(channel: Channel) -> Schema:
    action = "send" if SERVICES.issuperset(channel.published_by) else "receive"
    operation: Schema = {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": f"From {_names(channel.published_by)} to {_names(channel.read_by)}.",
    }
    if channel.answers:
        answer = f"#/channels/{_answer_name(channel)}"
        messages = [{"$ref": f"{answer}/messages/{message.__name__}"} for message in channel.answers]
        operation["reply"] = {"channel": {"$ref": answer}, "messages": messages}
    return {f"{action}.{channel.name}": operation}


def _answer_name(channel: Channel) -> str:
    return f"{channel.name}.answer"


def _names(parties: tuple[str, ...]) -> str:
    return ", ".join(parties)


def _message_references(messages: Iterable[Message]) -> Schema:
    return {message.__name__: {"$ref": f"#/components/messages/{message.__name__}"} for message in messages}


def _draft_7(node: Any) -> Any:
    # AsyncAPI's own schemas build on draft 7, where a tuple's parts stand under `items`.
    if isinstance(node, list):
        return [_draft_7(inner) for inner in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = {key: _draft_7(inner) for key, inner in cast("Schema", node).items()}
    if "prefixItems" in schema:
        schema["items"] = schema.pop("prefixItems")
        schema["additionalItems"] = False
    return schema
