"""`python -m tests.support.worker_process`: works for several devices, and keeps a journal of what it did.

The journal is the truth that the log is held against: an item's number stands in it as often as it was worked on, by
whichever incarnation of the process, even if the process was killed before it could tell anybody.
"""

import asyncio
import os
from pathlib import Path

import uvloop

from fleetfold_client import Fleet, WorkItem


async def _work(journal: int) -> None:
    environment = os.environ
    item_s, silent_after_s = float(environment["FLEETFOLD_ITEM_S"]), float(environment["FLEETFOLD_SILENT_AFTER_S"])
    devices = environment["FLEETFOLD_DEVICES"].split(",")

    async def do(item: WorkItem) -> None:
        if item_s:
            await asyncio.sleep(item_s)
        os.write(journal, b"%d\n" % item.index)

    url, root = environment["FLEETFOLD_NATS_URL"], environment["FLEETFOLD_ROOT"]
    async with Fleet.connect(url, root=root, name="worker", wait_s=60.0) as fleet, asyncio.TaskGroup() as tasks:
        for device in devices:
            tasks.create_task(fleet.worker(device, silent_after_s=silent_after_s).run(do))


def main() -> None:
    """Work until killed."""
    # One write a line, without a buffer: what was done stands there whenever the kill comes.
    journal = os.open(Path(os.environ["FLEETFOLD_JOURNAL"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    uvloop.run(_work(journal))


if __name__ == "__main__":
    main()
