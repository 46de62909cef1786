"""What can keep a stack from running."""

from pathlib import Path

SHOWN_LOG_LINES = 15


class StackError(Exception):
    """The stack cannot run.

    StackError
    ├── FolderInUseError     another stack runs on the folder
    ├── NotRestoredError     a log does not go into the folder
    ├── ServerFailedError    NATS does not start
    └── ServiceFailedError   a service ended by itself, or does not do its work
    """


class FolderInUseError(StackError):
    """Another stack runs on the folder."""


class NotRestoredError(StackError):
    """A log does not go into the folder: one lies there already, or the file is damaged."""


class ServerFailedError(StackError):
    """NATS does not start."""


class ServiceFailedError(StackError):
    """A service ended by itself, or does not do its work. `log` is what it wrote last."""

    def __init__(self, name: str, problem: str, log_file: Path) -> None:
        super().__init__(f"{name} {problem}")
        self.log = last_lines(log_file)


def last_lines(log_file: Path) -> str:
    """The end of a log; nothing where there is none."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-SHOWN_LOG_LINES:])
