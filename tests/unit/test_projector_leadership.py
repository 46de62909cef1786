"""One of several leads, and another one once it has been silent for long enough."""

import pytest

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_bus.port import Bucket, BusError
from fleetfold_contracts.subjects import Subjects
from fleetfold_state_projector.kv.leadership import TAKE_OVER_AFTER_S, Leadership
from tests.support.fake_clock import FakeClock


class Group:
    """Some who may lead, each with a clock of its own."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self.clocks = {name: FakeClock() for name in ("a", "b", "c")}
        self.members = {
            name: Leadership(bucket, clock, key="leader", instance=name) for name, clock in self.clocks.items()
        }

    async def second(self, *alive: str) -> str:
        """A second goes by, in which some of them look. Gives who lead then."""
        for name in alive:
            self.clocks[name].passes(1)
            await self.members[name].renew()
        return "".join(name for name in alive if self.members[name].leads)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def bucket(broker: MemoryBroker) -> Bucket:
    bucket = MemoryBus(broker, Subjects()).bucket("views")
    await bucket.ensure()
    return bucket


async def test_the_first_leads_as_long_as_it_lives(bucket: Bucket) -> None:
    group = Group(bucket)
    assert [await group.second("b", "a", "c") for _ in range(20)] == ["b"] * 20


async def test_one_takes_over_when_the_leader_is_silent_and_a_leader_that_comes_back_follows(bucket: Bucket) -> None:
    group = Group(bucket)
    await group.second("a", "b", "c")
    led = [await group.second("b", "c") for _ in range(5)]
    assert led == ["" if second < TAKE_OVER_AFTER_S else "b" for second in range(1, 6)]
    assert group.members["a"].leads, "it has not looked yet"
    assert [await group.second("a", "b", "c") for _ in range(5)] == ["b"] * 5


async def test_clocks_that_differ_do_not_matter(bucket: Bucket) -> None:
    group = Group(bucket)
    group.clocks["b"].passes(1_000_000)
    assert [await group.second("a", "b") for _ in range(5)] == ["a"] * 5


async def test_whoever_leads_in_a_bucket_that_is_made_anew_begins_anew(broker: MemoryBroker, bucket: Bucket) -> None:
    group = Group(bucket)
    assert await group.second("a", "b") == "a"
    del broker.buckets["views"]
    with pytest.raises(BusError):
        await group.members["a"].renew()
    assert not group.members["a"].leads
    await bucket.ensure()
    assert await group.second("b", "a") == "b"
