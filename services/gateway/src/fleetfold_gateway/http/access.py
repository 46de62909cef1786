"""Who may do what: two roles, each with a token."""

import hmac
from enum import IntEnum
from http import HTTPStatus

from starlette.requests import Request

from fleetfold_gateway.http.problems import ProblemError
from fleetfold_gateway.settings import GatewaySettings

SCHEME = "bearer"


class Role(IntEnum):
    """What somebody may do. Each role may do all that the ones before it may."""

    ANYBODY = 0
    VIEW = 1
    OPERATE = 2


class Access:
    """Tells by its token what a request may do."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Without any token in the settings, everybody may do everything."""
        tokens = {Role.VIEW: settings.view_token, Role.OPERATE: settings.operate_token}
        self._tokens = {role: token.encode() for role, token in tokens.items() if token}

    @property
    def guarded(self) -> bool:
        """Whether tokens are asked for."""
        return bool(self._tokens)

    def require(self, request: Request, role: Role) -> None:
        """Let a request pass that may do this much.

        Raises:
            ProblemError: it shows no token (401), or one that does not allow it (403).
        """
        if not self._tokens or role is Role.ANYBODY:
            return
        shown = self._role_of(request)
        if shown is None:
            raise ProblemError(HTTPStatus.UNAUTHORIZED, "show a token: `Authorization: Bearer …`")
        if shown < role:
            raise ProblemError(HTTPStatus.FORBIDDEN, f"this token may {shown.name.lower()}, not {role.name.lower()}")

    def role_of(self, request: Request) -> Role:
        """What a request may do."""
        if not self._tokens:
            return Role.OPERATE
        return self._role_of(request) or Role.ANYBODY

    def _role_of(self, request: Request) -> Role | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            return None
        given = token.strip().encode()
        # Every token is compared, and each in constant time: how long it takes tells nothing.
        matching = [role for role, known in self._tokens.items() if hmac.compare_digest(given, known)]
        return max(matching, default=None)
