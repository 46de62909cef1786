"""From what is typed to a command: files, standard input, options."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

import msgspec
import typer

from fleetfold_cli.exits import ExitCode, leave
from fleetfold_contracts import codec
from fleetfold_contracts.commands import Command
from fleetfold_contracts.ids import CommandId

STDIN = "-"

Document = dict[str, object]
CommandT = TypeVar("CommandT", bound=Command)


def given(**options: object) -> Document:
    """The options that were given: what is absent, empty or off is left to the defaults of the wire."""
    return {name: value for name, value in options.items() if value is not None and value not in ("", [], {}, False)}


def typed_labels(typed: Sequence[str]) -> dict[str, str]:
    """Labels from `NAME=VALUE`.

    Raises:
        typer.BadParameter: one is typed otherwise.
    """
    for label in typed:
        if not label.partition("=")[0] or "=" not in label:
            raise typer.BadParameter(f"{label!r} is no label; write it as rack=a")
    return {name: value for name, _, value in (label.partition("=") for label in typed)}


def read_text(name: str) -> str:
    """A file's text, or standard input's for `-`.

    Raises:
        typer.BadParameter: it cannot be read.
    """
    try:
        return sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{_called(name)} cannot be read: {error}") from error


def read_json(name: str) -> object:
    """A file's JSON, or standard input's for `-`.

    Raises:
        typer.BadParameter: it cannot be read, or is no JSON.
    """
    return _parse(read_text(name), name)


def read_values(name: str) -> list[object]:
    """The values of a JSON array, or of JSON lines.

    Raises:
        typer.BadParameter: it cannot be read, or is neither.
    """
    text = read_text(name).strip()
    if text.startswith("["):
        return cast("list[object]", _parse(text, name))
    return [_parse(line, name) for line in text.splitlines() if line.strip()]


def typed_command(verb: str, kind: type[CommandT], document: object) -> CommandT:
    """A document as a command, held to the rules of the services' door. The program ends where it breaks one."""
    try:
        command = codec.decode_command(verb, codec.encode(document))
    except codec.ContractError as error:
        leave(ExitCode.REJECTED, str(error))
    assert isinstance(command, kind)
    return command


def with_command_id(document: object, command_id: CommandId | None) -> object:
    """The document with a command's id, where one was typed."""
    if command_id is None or not isinstance(document, dict):
        return document
    return cast("Document", document) | {"command_id": command_id}


def _called(name: str) -> str:
    return "standard input" if name == STDIN else name


def _parse(text: str, name: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"{_called(name)} is no JSON: {error}") from error
