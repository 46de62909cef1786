"""What both adapters do around a handler: whatever happens in it, the one who asks gets an answer."""

import logging

from fleetfold_bus.port import Answer, Handler, Request
from fleetfold_contracts.answers import Failure, FailureAnswer
from fleetfold_contracts.codec import encode

OUR_FAULT = "500"

_log = logging.getLogger(__name__)


async def answer_of(handler: Handler, request: Request) -> Answer:
    """The handler's answer. An exception goes to the log; the one who asks learns no more than that it happened."""
    try:
        return await handler(request)
    except Exception:  # noqa: BLE001 - whatever a handler raises, its service goes on
        _log.exception("the handler of %s failed", request.subject)
        return failure("internal error")


def failure(message: str) -> Answer:
    """The answer that says that it is our fault."""
    body = encode(FailureAnswer(error=Failure(code=OUR_FAULT, message=message)))
    return Answer(body, error_code=OUR_FAULT, error_message=message)
