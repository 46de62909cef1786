"""What passes between a vendor's process and whoever started it: MessagePack, each message behind its length."""

from typing import BinaryIO

import msgspec

from fleetfold_devices.isolation.look import Look, Question
from fleetfold_devices.port import VendorUnavailableError

LENGTH_BYTES = 4
MAX_MESSAGE_BYTES = 16 * 1024**2
"""Far more than a look at all devices of a host takes. A longer one is none of ours."""


class Unavailable(msgspec.Struct, frozen=True, kw_only=True, tag="unavailable"):
    """A `VendorUnavailableError`, in a message. It is the last one of a process."""

    vendor: str
    missing: str
    remedy: str

    @classmethod
    def of(cls, error: VendorUnavailableError) -> "Unavailable":
        """The message for an error."""
        return cls(vendor=error.vendor, missing=error.missing, remedy=error.remedy)

    def as_error(self) -> VendorUnavailableError:
        """The error that it stands for."""
        return VendorUnavailableError(self.vendor, self.missing, self.remedy)


Reply = Look | Unavailable

_encoder = msgspec.msgpack.Encoder()
_questions = msgspec.msgpack.Decoder(Question)
_replies = msgspec.msgpack.Decoder[Reply](Reply)


def framed(message: Question | Reply) -> bytes:
    """A message behind its length."""
    payload = _encoder.encode(message)
    return len(payload).to_bytes(LENGTH_BYTES) + payload


def payload_bytes(head: bytes) -> int:
    """How long the message behind this length is.

    Raises:
        ValueError: longer than any of ours.
    """
    length = int.from_bytes(head)
    if length > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes is none of ours")
    return length


def reply_of(payload: bytes) -> Reply:
    """What a vendor's process said.

    Raises:
        ValueError: it is no reply, or a reading in it is out of its bounds.
    """
    return _replies.decode(payload)


def read_question(pipe: BinaryIO) -> Question | None:
    """Wait for the next question. None: nobody will ask any more."""
    head = pipe.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    payload = pipe.read(payload_bytes(head))
    return _questions.decode(payload) if payload else None
