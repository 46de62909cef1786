"""What the command line is told from outside: which server, which cluster, which environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_SERVER = "nats://127.0.0.1:4222"
DEFAULT_ROOT = "fleet"


@dataclass(frozen=True, slots=True)
class Settings:
    """The defaults of `--server` and `--root`, and the environment that processes we start get."""

    server: str = DEFAULT_SERVER
    root: str = DEFAULT_ROOT
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
