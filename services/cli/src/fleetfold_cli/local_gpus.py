"""`python -m fleetfold_cli.local_gpus`: whether this machine has GPUs that can be read. 0: it has, 1: it has none.

It is a process of its own, because a call into a wedged driver never returns, and no thread can be cancelled.
"""

import asyncio
import sys
from asyncio.subprocess import DEVNULL

from fleetfold_devices.local import local_sources

FOUND_WITHIN_S = 10.0


async def has_local_gpus() -> bool:
    """Whether this machine has GPUs that can be read. A driver that does not answer in time counts as none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        async with asyncio.timeout(FOUND_WITHIN_S):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> int:
    """Open every vendor's driver and look."""
    found = [device for source in local_sources("local").sources for device in source.discover().devices]
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
