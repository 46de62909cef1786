"""The adapter works with the server of the public NATS image."""

from contextlib import aclosing

import pytest
from tests.docker.nats_container import nats_in_container

from fleetfold_bus.nats import NatsBus
from fleetfold_bus.streams import EVENTS
from fleetfold_contracts.subjects import Subjects

pytestmark = pytest.mark.docker


async def test_what_is_appended_is_read_back() -> None:
    subjects = Subjects()
    with nats_in_container() as url:
        bus = await NatsBus.connect(url, subjects=subjects, name="test", wait_s=10)
        try:
            await bus.ensure_streams()
            await bus.append("fleet.evt.node.n1.joined", b"{}", message_id="one")
            async with aclosing(bus.read(subjects.stream(EVENTS))) as pages:
                page = await anext(pages)
        finally:
            await bus.close()
    assert [(record.subject, record.payload) for record in page] == [("fleet.evt.node.n1.joined", b"{}")]
