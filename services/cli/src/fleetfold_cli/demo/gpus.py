"""Whether this machine has GPUs of its own to show."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL

FOUND_WITHIN_S = 10.0


async def has_local_gpus() -> bool:
    """Whether this machine has GPUs that can be read. Drivers that do not answer in time count as none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fleetfold_cli.local_gpus", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
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
