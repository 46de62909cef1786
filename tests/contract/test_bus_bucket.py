"""What every bus promises of its buckets."""

import asyncio

import pytest

from fleetfold_bus.port import Bucket, Bus, BusError, ConflictError, Entry
from fleetfold_contracts.subjects import Subjects
from tests.contract.conftest import Connect

KEY = "device.gpu-0"


@pytest.fixture
async def bucket(bus: Bus, subjects: Subjects) -> Bucket:
    bucket = bus.bucket(subjects.state_bucket)
    await bucket.ensure()
    return bucket


async def test_a_key_holds_what_was_put_last(bucket: Bucket) -> None:
    assert await bucket.get(KEY) is None
    first = await bucket.put(KEY, b"one")
    second = await bucket.put(KEY, b"two")
    assert second > first
    assert await bucket.get(KEY) == Entry(KEY, b"two", second)
    assert await bucket.entries() == [Entry(KEY, b"two", second)]


async def test_a_key_that_is_gone_is_gone_and_may_come_again(bucket: Bucket) -> None:
    await bucket.put(KEY, b"one")
    await bucket.put("summary", b"all")
    await bucket.delete(KEY)
    assert await bucket.get(KEY) is None
    assert [entry.key for entry in await bucket.entries()] == ["summary"]
    await bucket.put(KEY, b"again")
    assert {entry.key: entry.value for entry in await bucket.entries()} == {KEY: b"again", "summary": b"all"}


async def test_of_two_who_expect_the_same_revision_one_is_refused(bucket: Bucket) -> None:
    first = await bucket.put(KEY, b"one", revision=0)
    with pytest.raises(ConflictError):
        await bucket.put(KEY, b"mine too", revision=0)
    outcomes = await asyncio.gather(
        *(bucket.put(KEY, b"two", revision=first) for _ in range(5)), return_exceptions=True
    )
    assert [isinstance(outcome, int) for outcome in outcomes].count(True) == 1
    assert all(isinstance(outcome, int | ConflictError) for outcome in outcomes)
    await bucket.put("summary", b"other keys do not matter", revision=0)


async def test_a_bucket_that_is_not_there_says_so_until_it_is_made(bus: Bus, subjects: Subjects) -> None:
    bucket = bus.bucket(subjects.state_bucket)
    for use in (bucket.get(KEY), bucket.put(KEY, b""), bucket.delete(KEY), bucket.entries()):
        with pytest.raises(BusError):
            await use
    await bucket.ensure()
    await bucket.put(KEY, b"now")


async def test_many_may_make_it_at_once(connect: Connect, bus: Bus, subjects: Subjects) -> None:
    buckets = [bus.bucket(subjects.state_bucket), *[(await connect()).bucket(subjects.state_bucket) for _ in range(4)]]
    await asyncio.gather(*(bucket.ensure() for bucket in buckets))
    await buckets[0].put(KEY, b"seen by all")
    assert {entry.value for bucket in buckets if (entry := await bucket.get(KEY))} == {b"seen by all"}
