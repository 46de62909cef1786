"""The OpenAPI 3.1 document, made of the operations and the structs that they take and give."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from fleetfold_contracts import codec
from fleetfold_contracts.commands import COMMANDS
from fleetfold_contracts.events import TYPE_OF_EVENT
from fleetfold_contracts.schemas.catalogue import OUTCOMES
from fleetfold_contracts.schemas.json_schemas import definitions_of
from fleetfold_gateway.http.access import Role
from fleetfold_gateway.http.operations import EVENT_STREAM, Operation
from fleetfold_gateway.http.problems import MEDIA_TYPE as PROBLEM_TYPE
from fleetfold_gateway.http.problems import Problem

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
DESCRIPTION = """\
The fleet as it stands, and commands. Answers carry an `ETag`; ask again with `If-None-Match`. `at_least` waits until an
answer stands for a log position, such as the `id` of an event of the stream. A problem names the field that is wrong.
"""
TAGS = {
    "fleet": "Devices, nodes and links",
    "placements": "What sits where, and why",
    "work": "What is handed out",
    "events": "What happens",
    "commands": "What can be asked for. A command with a `command_id` is done once, however often it is sent",
    "gpu": "Devices and topology in a few figures",
    "session": "Who asks",
}
EVERYBODYS_PROBLEMS = (HTTPStatus.BAD_REQUEST, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS)
TOKENS_PROBLEMS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
FLEETS_PROBLEMS = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
QUESTIONS_PROBLEMS = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
COMMANDS_PROBLEMS = (
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@cache
def document(operations: tuple[Operation, ...]) -> bytes:
    """The whole document, as JSON."""
    return codec.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Fleetfold", "version": "1", "description": DESCRIPTION, "license": _LICENSE},
            "servers": [{"url": "/"}],
            "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
            "paths": {operation.path: {operation.method.lower(): _operation(operation)} for operation in operations},
            "components": {
                "schemas": _schemas(operations),
                "responses": {"Problem": _response("What went wrong", PROBLEM_TYPE, _reference(Problem))},
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def _operation(operation: Operation) -> Schema:
    described: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": {"200": _answer(operation), **_problems(operation)},
        # The empty one: a gateway may ask nobody for a token.
        "security": [{}] if operation.role is Role.ANYBODY else [{"token": []}, {}],
    }
    if operation.answer is not None and operation.role is not Role.ANYBODY:
        described["responses"]["304"] = {"description": "It is as it was: `If-None-Match` has its `ETag`"}
    if operation.verb is not None:
        body = {"schema": _reference(COMMANDS[operation.verb])}
        described["requestBody"] = {"required": True, "content": {codec.JSON: body}}
    return described


def _parameters(operation: Operation) -> list[Schema]:
    kind = operation.query
    properties: dict[str, Schema] = definitions_of([kind], REFERENCE)[kind.__name__].get("properties", {})
    in_path = set(re.findall(r"\{(\w+)\}", operation.path))
    return [_parameter(name, schema, in_path=name in in_path) for name, schema in properties.items()]


def _parameter(name: str, schema: Schema, *, in_path: bool) -> Schema:
    described = {key: value for key, value in schema.items() if key != "description"}
    if described.get("type") == "object":  # names with values: one parameter a pair
        described = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}}
    parameter: Schema = {"name": name, "in": "path" if in_path else "query", "schema": _without_null(described)}
    if in_path:
        parameter["required"] = True
    return parameter | ({"description": schema["description"]} if "description" in schema else {})


def _without_null(schema: Schema) -> Schema:
    # A parameter cannot say null: it is there, or it is not.
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf" and (key, value) != ("default", None)}
    return rest | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})


def _answer(operation: Operation) -> Schema:
    if operation.verb is not None:
        return _response("The event that is its outcome", codec.JSON, {"oneOf": _outcomes(operation.verb)})
    if operation.answer is None:
        return _response("One frame an event; its data is the envelope", EVENT_STREAM, {"type": "string"})
    return _response(operation.summary, codec.JSON, _reference(operation.answer))


def _outcomes(verb: str) -> list[Schema]:
    return [
        {
            "type": "object",
            "required": ["type", "data"],
            "properties": {"type": {"const": words}, "data": _reference(kind)},
        }
        for kind in OUTCOMES[verb]
        if (words := TYPE_OF_EVENT.get(kind))  # pyright: ignore[reportArgumentType]  # an outcome is an event
    ]


def _problems(operation: Operation) -> Schema:
    of_kind = COMMANDS_PROBLEMS if operation.verb is not None else QUESTIONS_PROBLEMS if operation.answer else ()
    of_role = () if operation.role is Role.ANYBODY else (*TOKENS_PROBLEMS, *FLEETS_PROBLEMS)
    statuses = sorted({*EVERYBODYS_PROBLEMS, *of_role, *of_kind})
    return {str(status.value): {"$ref": "#/components/responses/Problem"} for status in statuses}


def _schemas(operations: Sequence[Operation]) -> dict[str, Schema]:
    return definitions_of([*_kinds(operations), Problem], REFERENCE)


def _kinds(operations: Sequence[Operation]) -> Iterable[type[msgspec.Struct]]:
    for operation in operations:
        yield operation.query
        if operation.answer is not None:
            yield operation.answer
        if operation.verb is not None:
            yield COMMANDS[operation.verb]
            yield from OUTCOMES[operation.verb]


def _reference(kind: type[msgspec.Struct]) -> Schema:
    return {"$ref": REFERENCE.format(name=kind.__name__)}


def _response(description: str, media_type: str, schema: Schema) -> Schema:
    return {"description": description, "content": {media_type: {"schema": schema}}}
