"""What a request asks: its query and its body as structs."""

from functools import cache
from http import HTTPStatus
from typing import TypeVar, get_args, get_origin

import msgspec
from starlette.requests import ClientDisconnect, Request

from fleetfold_contracts import codec
from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES
from fleetfold_contracts.commands import Command
from fleetfold_gateway.http.problems import ProblemError, of_body

QueryT = TypeVar("QueryT", bound=msgspec.Struct)


class NoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Takes nothing."""


def query_of(request: Request, kind: type[QueryT]) -> QueryT:
    """The query parameters, with those of the path. One that nobody knows is refused: a filter must not go unheard.

    A field that holds names with values is given once a pair: `labels=rack=r1`.

    Raises:
        ProblemError: they are wrong. It names the parameter.
    """
    fields = _fields(kind)
    given: dict[str, object] = dict(request.path_params)
    for name in request.query_params:
        if name not in fields or name in request.path_params:
            known = ", ".join(name for name in fields if name not in request.path_params) or "none"
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"no such parameter; there are: {known}", field=f"?{name}")
        given[name] = _value(name, request.query_params.getlist(name), fields[name])
    try:
        return msgspec.convert(given, type=kind, strict=False)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        name = where.rstrip("`").partition("[")[0]
        if name in request.path_params:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"there is no such {name}: {reason}") from None
        raise ProblemError(HTTPStatus.BAD_REQUEST, reason, field=f"?{name}") from None


async def command_of(request: Request, verb: str) -> Command:
    """The command in the body.

    Raises:
        ProblemError: it is too large, of another type, or makes no sense. It names the field.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in (codec.JSON, codec.MSGPACK):
        # This also keeps out what a page of another site could send without being asked for permission.
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send it as {codec.JSON}, or as {codec.MSGPACK}", field="$"
        )
    try:
        return codec.decode_command(verb, await _body(request), {codec.CONTENT_TYPE: content_type})
    except codec.ContractError as error:
        raise of_body(error) from None


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_PAYLOAD_BYTES:
                raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_PAYLOAD_BYTES} bytes are taken")
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body ended too early") from None
    return bytes(body)


def _holds_pairs(kind: object) -> bool:
    return get_origin(kind) is dict or any(map(_holds_pairs, get_args(kind)))


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, object]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


def _value(name: str, given: list[str], kind: object) -> object:
    if "null" in map(str.lower, given):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "`null` is no value: leave the parameter out", field=f"?{name}")
    if _holds_pairs(kind):
        return dict(_pair(name, text) for text in given)
    return given if _holds_many(kind) else given[-1]


def _pair(name: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"give it as NAME=VALUE, not {text!r}", field=f"?{name}")
    return key, value


def _holds_many(kind: object) -> bool:
    return get_origin(kind) is tuple or any(map(_holds_many, get_args(kind)))
