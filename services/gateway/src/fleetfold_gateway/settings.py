"""What the gateway can be told."""

import ipaddress
from typing import Annotated

import msgspec

from fleetfold_runtime.settings import Settings

DEFAULT_PORT = 8780
SHORTEST_TOKEN = 16

Token = Annotated[str, msgspec.Meta(max_length=256, pattern=r"^[!-~]*$")]


class GatewaySettings(Settings, frozen=True, kw_only=True):
    """Settings of the gateway alone."""

    http_host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] = "127.0.0.1"
    """The address that it listens on. Any but a loopback address needs tokens."""
    http_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = DEFAULT_PORT
    """Where it listens; 0 takes a free port."""
    view_token: Token = ""
    """Whoever shows it may look. Without any token, everybody who reaches the port may look and command."""
    operate_token: Token = ""
    """Whoever shows it may look and command."""
    http_open: bool = False
    """Ask nobody for a token, on any address: something else guards the port, such as a container's published one."""
    http_rate_per_s: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 500.0
    """How many requests a second one address may make in the long run; 0 sets no limit."""

    def __post_init__(self) -> None:
        """Refuse to stand open by mistake."""
        tokens = [token for token in (self.view_token, self.operate_token) if token]
        if any(len(token) < SHORTEST_TOKEN for token in tokens):
            raise ValueError(f"FLEETFOLD_VIEW_TOKEN and FLEETFOLD_OPERATE_TOKEN: {SHORTEST_TOKEN} characters or more")
        if len(set(tokens)) < len(tokens):
            raise ValueError("FLEETFOLD_VIEW_TOKEN and FLEETFOLD_OPERATE_TOKEN must differ")
        if not tokens and not self.http_open and not self.on_loopback:
            raise ValueError(
                f"FLEETFOLD_HTTP_HOST={self.http_host} can be reached from elsewhere: set FLEETFOLD_OPERATE_TOKEN, or"
                " FLEETFOLD_HTTP_OPEN=true where something else guards the port"
            )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.http_host).is_loopback
        except ValueError:
            return self.http_host == "localhost"
