"""Ids: text that is safe as one token of a NATS subject."""

import re
from typing import Annotated

import msgspec

# `\Z`, because Python's `$` lets a line feed follow.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z"
_ID = re.compile(ID_PATTERN)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")

Token = Annotated[
    str,
    msgspec.Meta(pattern=ID_PATTERN, description="Letters, digits, '_' and '-', 1 to 128 of them, no '_' or '-' first"),
]

NodeId = Annotated[Token, msgspec.Meta(title="NodeId")]
BootId = Annotated[Token, msgspec.Meta(title="BootId")]
DeviceId = Annotated[Token, msgspec.Meta(title="DeviceId")]
PoolId = Annotated[Token, msgspec.Meta(title="PoolId")]
WorkloadId = Annotated[Token, msgspec.Meta(title="WorkloadId")]
ShardId = Annotated[Token, msgspec.Meta(title="ShardId")]
WorkId = Annotated[Token, msgspec.Meta(title="WorkId")]
CommandId = Annotated[Token, msgspec.Meta(title="CommandId")]
Text = Annotated[str, msgspec.Meta(max_length=4096)]
"""Words for people."""
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]

DEFAULT_POOL = "default"


def check_token(text: str) -> str:
    """Give back `text`, which must be a token.

    Raises:
        ValueError: it is none. As part of a subject it would be another subject, or many.
    """
    if not _ID.match(text):
        raise ValueError(f"{text!r} cannot be part of a subject")
    return text


def token(text: str) -> str:
    """Turn any text into a token: unsafe characters become '-', and what is left is cut at 128 characters.

    Raises:
        ValueError: nothing is left.
    """
    safe = _UNSAFE.sub("-", text).strip("-_")[:128]
    if not safe:
        raise ValueError(f"no token can be made of {text!r}")
    return safe
