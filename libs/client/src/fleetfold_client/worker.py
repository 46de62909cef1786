"""A worker: pulls the batches of one device, hands their items out one by one, and says when a batch is through."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime

import msgspec

from fleetfold_bus.port import Bus, BusError, Delivery, UnreachableError
from fleetfold_bus.streams import worker_queue
from fleetfold_contracts import codec
from fleetfold_contracts.codec import ContractError
from fleetfold_contracts.events import BatchFinished, ItemFailure, WorkerJoined
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.work import Batch, Item

SILENT_AFTER_S = 30.0
BEATS_IN_THAT_TIME = 3
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
        """It could not be done. It is tried elsewhere, until it has failed too often."""
        self._failure = ItemFailure(index=self.index, reason=reason[:4096])


class Worker:
    """Works on what is handed to one device, at least once: a batch cut short is handed out again, from its beginning.

        async for item in fleet.worker("gpu-0").items():
            print(item.body)

    A batch is acknowledged after the event `work.batch.finished` is in the log, which counts it once. While it is
    worked on, the queue hears so from the event loop: compute in a thread. Of a dead worker it hears nothing: its batch
    is another's `silent_after_s` seconds later, which is the same for all workers of a cluster and its distributors.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        device_id: str,
        name: str = "worker",
        *,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._device_id = device_id
        self._source = f"{name}/{device_id}"
        self._silent_after_s = silent_after_s
        self._stop = asyncio.Event()
        self._finished: dict[str, None] = {}

    def stop(self) -> None:
        """Let `items` or `run` end behind the batch that is in hand."""
        self._stop.set()

    async def items(self) -> AsyncGenerator[WorkItem, None]:
        """Items one by one, as they come, until `stop`. Leaving the loop in mid-batch gives the batch back at once."""
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                for item in batch:
                    yield item

    async def run(self, do: Callable[[WorkItem], Awaitable[None]], *, at_once: int = 1) -> None:
        """Do items until `stop`, up to `at_once` of a batch side by side. An exception fails its item."""
        free = asyncio.Semaphore(at_once)
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                async with asyncio.TaskGroup() as tasks:
                    for item in batch:
                        await free.acquire()
                        task = tasks.create_task(_tried(do, item))
                        task.add_done_callback(lambda _: free.release())

    async def _batches(self) -> AsyncGenerator[list[WorkItem], None]:
        """Batches that are given back unless the next one is asked for."""
        await self._join()
        async with aclosing(self._deliveries()) as deliveries:
            async for delivery in deliveries:
                batch = await _batch_of(delivery)
                if batch is None:
                    continue
                async with _held(delivery, self._silent_after_s / BEATS_IN_THAT_TIME):
                    finished_id = _finished_id(batch)
                    if finished_id not in self._finished:
                        started_s = time.monotonic()
                        taken = [WorkItem(batch, item) for item in batch.items]
                        yield taken
                        failures = tuple(item.failure for item in taken if item.failure)
                        await self._finish(batch, failures, time.monotonic() - started_s)
                        self._remember(finished_id)
                    await _acknowledge(delivery)

    async def _join(self) -> None:
        """Say that somebody works for the device: one that was silent gets something again."""
        await self._append(WorkerJoined(device_id=self._device_id, worker=self._source), f"joined-{uuid.uuid4().hex}")

    def _remember(self, finished_id: str) -> None:
        self._finished[finished_id] = None
        while len(self._finished) > FINISHED_REMEMBERED:
            del self._finished[next(iter(self._finished))]

    async def _deliveries(self) -> AsyncGenerator[Delivery, None]:
        queue = worker_queue(self._subjects, self._device_id, settle_within_s=self._silent_after_s)
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

    async def _finish(self, batch: Batch, failures: tuple[ItemFailure, ...], took_s: float) -> None:
        event = BatchFinished(
            work_id=batch.work_id,
            device_id=batch.device_id,
            batch=batch.batch,
            item_count=len(batch.items),
            failures=failures,
            seconds=took_s,
        )
        await self._append(event, _finished_id(batch), cause=batch.work_id)

    async def _append(self, event: BatchFinished | WorkerJoined, event_id: str, cause: str | None = None) -> None:
        payload = codec.encode_event(event, id=event_id, source=self._source, time=datetime.now(UTC), cause=cause)
        await _until_reached(lambda: self._bus.append(self._subjects.event(event), payload, message_id=event_id))


async def _tried(do: Callable[[WorkItem], Awaitable[None]], item: WorkItem) -> None:
    try:
        await do(item)
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the item's story
        item.fail(f"{type(error).__name__}: {error}")


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
async def _held(delivery: Delivery, beat_every_s: float) -> AsyncGenerator[None, None]:
    """Tell the queue that the batch is worked on, and give it back if the block does not run to its end."""
    beating = asyncio.ensure_future(_beat(delivery, beat_every_s))
    try:
        yield
    except BaseException:
        with suppress(BusError):  # A server that is away hands it out again by itself.
            await delivery.again()
        raise
    finally:
        beating.cancel()


async def _beat(delivery: Delivery, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
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
