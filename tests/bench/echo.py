"""`python -m tests.bench.echo`: a process that answers questions by the raw client, and does nothing else."""

import asyncio
import os

import uvloop

from tests.bench import raw

SUBJECT = "echo"


async def main(url: str) -> None:
    """Answer until the process is ended."""
    await raw.echo(await raw.connect(url), SUBJECT)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(os.environ["FLEETFOLD_NATS_URL"]))
