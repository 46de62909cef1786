"""A stack that begins with a log from a file."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.port import BusError
from fleetfold_cli.stack.errors import NotRestoredError
from fleetfold_contracts.subjects import Subjects
from fleetfold_runtime.log_file import LogFileError, check_log, restore_log

CONNECT_WITHIN_S = 10.0


def restoring(file: Path, folder: Path, root: str) -> Callable[[str], Awaitable[None]]:
    """What brings the log of a file into an empty folder, once NATS listens. The whole file is read through first.

    Raises:
        NotRestoredError: a log lies in the folder already, or the file is damaged.
    """
    if (folder / "nats").exists():
        raise NotRestoredError(f"{folder} holds a log already; name an empty folder with --data")
    subjects = Subjects(root)
    try:
        check_log(file, subjects)
    except LogFileError as error:
        raise NotRestoredError(str(error)) from error

    async def restore(url: str) -> None:
        bus = await NatsBus.connect(url, subjects=subjects, name="restore", wait_s=CONNECT_WITHIN_S)
        try:
            await bus.ensure_streams()
            await restore_log(bus, file)
        except (LogFileError, BusError) as error:
            raise NotRestoredError(str(error)) from error
        finally:
            await bus.close()

    return restore
