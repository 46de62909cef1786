"""What can go wrong between a program and its fleet."""


class FleetError(Exception):
    """Something went wrong outside of this program.

    FleetError
    ├── RejectedError     the command or question makes no sense as it stands; `field` says where
    ├── NoAnswerError     nobody serves the question, or no outcome came in time
    ├── UnreachableError  no server answers
    └── ServiceError      a service failed, or answered what this version cannot read
    """


class RejectedError(FleetError):
    """The command or question makes no sense as it stands. `field` is the path in it, `$` the whole."""

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field and field != "$" else reason)
        self.reason = reason
        self.field = field


class NoAnswerError(FleetError):
    """Nobody serves the question, or no outcome came in time.

    A command may still be done later: ask again with the same `command_id`, and it is done once.
    """

    def __init__(self, message: str, command_id: str | None = None) -> None:
        super().__init__(message)
        self.command_id = command_id


class UnreachableError(FleetError):
    """No server answers."""


class ServiceError(FleetError):
    """A service failed, or answered what this version cannot read."""
