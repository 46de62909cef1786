"""JSON Schemas (2020-12) of the structs, with what their source says of each field."""

import ast
import inspect
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any, cast

import msgspec

from fleetfold_contracts.schemas.catalogue import STRICT, Message, message_name

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_PACKAGE = "fleetfold_contracts."


def json_schema(message: Message) -> Schema:
    """The schema of one message, complete in itself."""
    definitions = definitions_of([message], "#/$defs/{name}")
    if message in STRICT:
        definitions = {name: _closed(definition) for name, definition in definitions.items()}
    head = {"$schema": DIALECT, "$id": f"urn:fleetfold:schema:{message_name(message)}"}
    schema = head | definitions.pop(message.__name__)
    return schema | {"$defs": definitions} if definitions else schema


def definitions_of(messages: Iterable[Message], reference: str) -> dict[str, Schema]:
    """The schemas of messages and of all that is in them, by name. `reference` makes a name a `$ref`."""
    _, components = msgspec.json.schema_components(messages, ref_template=reference)
    structs = {struct.__name__: struct for struct in _all_structs(msgspec.Struct)}
    return {
        name: _with_notes(_tidy(schema), _field_notes(structs[name]) if name in structs else {})
        for name, schema in components.items()
    }


def _closed(definition: Schema) -> Schema:
    return definition | {"additionalProperties": False} if "properties" in definition else definition


def _all_structs(struct: type[msgspec.Struct]) -> Iterable[type[msgspec.Struct]]:
    for child in struct.__subclasses__():
        if child.__module__.startswith(_PACKAGE):
            yield child
            yield from _all_structs(child)


def _tidy(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _tidy_text(key, value) for key, value in cast("Schema", node).items()}
    return [_tidy(inner) for inner in cast("list[Any]", node)] if isinstance(node, list) else node


def _tidy_text(key: str, value: Any) -> Any:
    if not isinstance(value, str):
        return _tidy(value)
    if key == "description":
        return inspect.cleandoc(value)  # Python 3.13 strips the indentation of a docstring, older ones do not
    if key == "pattern":
        return value.replace(r"\Z", "$")  # where patterns come from ECMAScript, `$` is the very end
    return value


def _with_notes(schema: Schema, notes: dict[str, str]) -> Schema:
    for name, note in notes.items():
        schema["properties"][name]["description"] = note
    return schema


@cache
def _field_notes(struct: type[msgspec.Struct]) -> dict[str, str]:
    # The text that stands below a field, a parent's fields included: Python keeps it in the source alone.
    notes: dict[str, str] = {}
    for kind in reversed(struct.__mro__):
        if kind.__module__.startswith(_PACKAGE):
            notes |= _own_notes(kind)
    return notes


def _own_notes(kind: type) -> dict[str, str]:
    notes: dict[str, str] = {}
    (definition,) = ast.parse(inspect.getsource(kind)).body
    for pair in pairwise(cast("ast.ClassDef", definition).body):
        match pair:
            case (ast.AnnAssign(target=ast.Name(id=field)), ast.Expr(value=ast.Constant(value=str(note)))):
                notes[field] = inspect.cleandoc(note)
            case _:
                pass
    return notes
