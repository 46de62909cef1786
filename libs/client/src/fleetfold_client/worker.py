"""A worker: pulls the batches of one device, hands their items out one by one, and says when a batch is through."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime

import msgspec

from fleetfold_bus.port import Bus, BusError, Delivery, Queue, UnreachableError
from fleetfold_bus.streams import WORK
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.events import BatchFinished, ItemFailure
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Batch, Item

SETTLE_WITHIN_S = 30.0
HEARTBEAT_S = SETTLE_WITHIN_S / 3
RETRY_S = 1.0
FINISHED_REMEMBERED = 1000
"""So many batches back a worker knows that it is through with one that comes again: its acknowledgement was lost."""
LONGEST_RETURN_S = 300.0

_log = logging.getLogger(__name__)


class WorkItem:
    """One item to be worked on. It counts as done when the next one is asked for, unless it was said to have failed."""

    def __init__(self, batch: Batch, item: Item) -> None:
        self.work_id = batch.work_id
        self.index = item.index
        self._raw = item.body
        self._failure: ItemFailure | None = None

    @property
    def body(self) -> object:
        """What stood at this place of the list of items, as JSON gives it; `None` where items are only counted."""
        return msgspec.json.decode(self._raw)

    @property
    def failure(self) -> ItemFailure | None:
        """Why it could not be done."""
        return self._failure

    def fail(self, reason: str) -> None:
        """It could not be done, and will not be tried again."""
        self._failure = ItemFailure(index=self.index, reason=reason[:4096])


class Worker:
    """Works on what is handed to one device, at least once: a batch cut short is handed out again, from its beginning.

        async for item in fleet.worker("gpu-0").items():
            print(item.body)

    A batch is acknowledged after the event `work.batch.finished` is in the log. While it is worked on, the queue hears
    so from the event loop: compute in a thread. A dead worker says nothing: within 30 s its batch is another's.
    """

    def __init__(self, bus: Bus, subjects: Subjects, device_id: str, name: str = "worker") -> None:
        self._bus = bus
        self._subjects = subjects
        self._device_id = device_id
        self._source = f"{name}/{device_id}"
        self._stop = asyncio.Event()
        self._finished: dict[str, None] = {}

    def stop(self) -> None:
        """Let `items` end behind the batch that is in hand."""
        self._stop.set()

    async def items(self) -> AsyncGenerator[WorkItem, None]:
        """Items, as they come, until `stop`. Leaving the loop in mid-batch gives the batch back at once."""
        async with aclosing(self._deliveries()) as deliveries:
            async for delivery in deliveries:
                batch = await _batch_of(delivery)
                if batch is None:
                    continue
                async with _held(delivery):
                    finished_id = _finished_id(batch)
                    if finished_id not in self._finished:
                        taken = [WorkItem(batch, item) for item in batch.items]
                        for item in taken:
                            yield item
                        await self._finish(batch, tuple(item.failure for item in taken if item.failure))
                        self._remember(finished_id)
                    await _acknowledge(delivery)

    def _remember(self, finished_id: str) -> None:
        self._finished[finished_id] = None
        while len(self._finished) > FINISHED_REMEMBERED:
            del self._finished[next(iter(self._finished))]

    async def _deliveries(self) -> AsyncGenerator[Delivery, None]:
        queue = Queue(
            stream=self._subjects.stream(WORK),
            name=f"worker-{self._device_id}",
            filters=(self._subjects.work(self._device_id),),
            settle_within_s=SETTLE_WITHIN_S,
        )
        # One batch at a time: what waits here cannot be taken by another worker of the device.
        async with aclosing(self._bus.pull(queue, batch=1)) as source:
            while (delivery := await self._next(source)) is not None:
                yield delivery

    async def _next(self, source: AsyncIterator[Delivery]) -> Delivery | None:
        following = asyncio.ensure_future(anext(source, None))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({following, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return following.result() if following.done() else None
        finally:
            stopped.cancel()
            following.cancel()
            await asyncio.wait({following, stopped})

    async def _finish(self, batch: Batch, failures: tuple[ItemFailure, ...]) -> None:
        event = BatchFinished(
            work_id=batch.work_id,
            device_id=batch.device_id,
            batch=batch.batch,
            item_count=len(batch.items),
            failures=failures,
        )
        event_id = _finished_id(batch)
        payload = codec.encode_event(
            event, id=event_id, source=self._source, time=datetime.now(UTC), cause=batch.work_id
        )
        await _until_reached(lambda: self._bus.append(self._subjects.event(event), payload, message_id=event_id))


def _finished_id(batch: Batch) -> str:
    return f"{batch.work_id}.{batch.device_id}.{batch.batch}.finished"


async def _acknowledge(delivery: Delivery) -> None:
    # A server that was killed may have forgotten whom it handed the batch to. Then it comes again, and is known.
    with suppress(UnreachableError):
        await delivery.done()


async def _batch_of(delivery: Delivery) -> Batch | None:
    # Which items a batch that cannot be read holds is not known, so no event can account for them. It stays in its
    # queue, seen and counted, and comes back after ever longer pauses: a newer worker may be able to read it.
    try:
        return codec.decode(delivery.record.payload, Batch)
    except ContractError as error:
        pause_s = min(2.0**delivery.attempt, LONGEST_RETURN_S)
        _log.error("the batch at %d cannot be read, back in %.0f s: %s", delivery.record.sequence, pause_s, error)
        await delivery.again(pause_s)
        return None


@asynccontextmanager
async def _held(delivery: Delivery) -> AsyncGenerator[None, None]:
    """Tell the queue that the batch is worked on, and give it back if the block does not run to its end."""
    beating = asyncio.ensure_future(_beat(delivery))
    try:
        yield
    except BaseException:
        with suppress(BusError):  # A server that is away hands it out again by itself.
            await delivery.again()
        raise
    finally:
        beating.cancel()


async def _beat(delivery: Delivery) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        await _until_reached(delivery.working)


async def _until_reached(action: Callable[[], Awaitable[object]]) -> None:
    """Do it, again and again while the server is away: what is repeated here is the same message."""
    while True:
        try:
            await action()
        except UnreachableError:
            await asyncio.sleep(RETRY_S)
        else:
            return
