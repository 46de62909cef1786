"""Settings: from the environment to a struct. Only a `__main__.py` passes the environment in."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec

from fleetfold_contracts.subjects import DEFAULT_ROOT, Subjects

PREFIX = "FLEETFOLD_"

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
T = TypeVar("T")


class SettingsError(ValueError):
    """A setting cannot be used. The message names the variable."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service can be told. The variable of a field is `FLEETFOLD_` and its name in capitals."""

    nats_url: str = "nats://127.0.0.1:4222"
    root: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]+$")] = DEFAULT_ROOT
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    """How many NATS servers hold each stream: 3 in a cluster."""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    health_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """Where `/healthz`, `/readyz` and `/metrics` answer; 0 turns them off."""

    @property
    def subjects(self) -> Subjects:
        """The subjects of this cluster."""
        return Subjects(self.root)


def load_settings(kind: type[T], environ: Mapping[str, str]) -> T:
    """Read `kind` from the environment. An empty variable counts as not set.

    Raises:
        SettingsError: a value is of the wrong type or out of bounds.
    """
    fields = msgspec.structs.fields(kind)  # pyright: ignore[reportArgumentType]  # T is a struct here
    variables = {PREFIX + field.name.upper(): field.name for field in fields}
    given = {name: environ[variable] for variable, name in variables.items() if environ.get(variable)}
    try:
        return msgspec.convert(given, type=kind, strict=False)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at ")
        if not path:  # It is about several settings at once, and names them itself.
            raise SettingsError(reason) from None
        variable = PREFIX + path.strip("`$.").upper()
        raise SettingsError(f"{variable}={environ.get(variable)!r}: {reason}") from None
