"""Streams that a test leaves behind."""

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.streams import declared
from fleetfold_contracts.subjects import Subjects


async def remove_streams(url: str, subjects: Subjects) -> None:
    """Remove all streams of a cluster: a server sets aside what they may hold, and soon has no room for more."""
    bus = await NatsBus.connect(url, subjects=subjects, name="test-cleaner", wait_s=5)
    for name in (*(stream.name for stream in declared(subjects)), f"KV_{subjects.state_bucket}"):
        await bus.ask(f"$JS.API.STREAM.DELETE.{name}", b"")
    await bus.close()
