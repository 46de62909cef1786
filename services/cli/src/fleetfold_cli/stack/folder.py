"""The folder of a stack: what is kept between runs, held by one stack at a time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fleetfold_cli.stack.errors import FolderInUseError

LOCK_NAME = "lock"


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where the XDG base directory specification lets a program keep its user's data."""
    home = environment.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "fleetfold"


@contextmanager
def held_folder(folder: Path) -> Generator[Path, None, None]:
    """Make the folder if missing, and keep every other stack out of it while the block runs.

    The lock goes with the process, however that ends.

    Raises:
        FolderInUseError: another stack runs on it, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_NAME).open("a+", encoding="ascii")
    except OSError as error:
        raise FolderInUseError(f"{folder} cannot be used: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            message = f"{folder} is in use by process {holder}; stop that one, or name another folder with --data"
            raise FolderInUseError(message) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield folder


@contextmanager
def passing_folder() -> Generator[Path, None, None]:
    """A folder that is gone with all that is in it when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="fleetfold-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
