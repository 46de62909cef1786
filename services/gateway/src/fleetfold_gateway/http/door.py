"""The door: what every request passes, whatever it asks for. Plain ASGI, because it stands before each answer."""

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fleetfold_contracts.codec import MAX_PAYLOAD_BYTES
from fleetfold_gateway.http.problems import ProblemError, problem_response
from fleetfold_gateway.http.rates import Rates
from fleetfold_gateway.metrics.page import REQUESTS
from fleetfold_runtime.clock import Clock

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY_HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
]

_COUNTED = {hundreds: REQUESTS.labels(status=f"{hundreds}xx") for hundreds in range(1, 6)}


class Door:
    """Refuses what is too much, too large, or sent by another site's page, and puts security headers on each answer."""

    def __init__(self, app: ASGIApp, *, rates: Rates, clock: Clock, loopback_only: bool) -> None:
        """`loopback_only`: whoever asks must call us by a name of this machine.

        A page of another site that lets its own name point to 127.0.0.1 would otherwise get in.
        """
        self._app = app
        self._rates = rates
        self._clock = clock
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                _COUNTED[message["status"] // 100].inc()
                message["headers"] = [*message["headers"], *SECURITY_HEADERS]
            await send(message)

        try:
            self._let_in(scope)
        except ProblemError as error:
            await problem_response(error.problem)(scope, receive, send_secured)
        else:
            await self._app(scope, receive, send_secured)

    def _let_in(self, scope: Scope) -> None:
        address = scope["client"][0] if scope["client"] else ""
        if not self._rates.take(address, self._clock.monotonic_s()):
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, "too many requests from this address; ask less often")
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._loopback_only and not _is_this_machine(host):
            raise ProblemError(HTTPStatus.MISDIRECTED_REQUEST, "call this machine localhost or 127.0.0.1")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise ProblemError(HTTPStatus.FORBIDDEN, "pages of other sites may not ask")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > MAX_PAYLOAD_BYTES:
            raise ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {MAX_PAYLOAD_BYTES} bytes are taken")


def _is_this_machine(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
