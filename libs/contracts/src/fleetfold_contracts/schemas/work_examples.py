"""One full example of every message about work: no field is left at its default."""

from datetime import UTC, datetime

import msgspec

from fleetfold_contracts import commands as cmd
from fleetfold_contracts import work_events as evt
from fleetfold_contracts.inventory import DeviceType, Vendor
from fleetfold_contracts.work import Batch, Item

_NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
_FIRST_GPU = "node-7-gpu-0"
_SECOND_GPU = "node-7-gpu-1"
_PICTURE = msgspec.Raw(b'{"picture":"a.png"}')
_SOURCE = cmd.Source(stream="PICTURES", subject="pictures.new", after=1000)
_TO = cmd.Selector(
    devices=(_FIRST_GPU, _SECOND_GPU),
    workload_id="llama-70b",
    device_types=(DeviceType.CUDA,),
    vendors=(Vendor.NVIDIA,),
    nodes=("node-7",),
    pool="research",
)

EVENTS: tuple[evt.WorkEvent | evt.WorkerJoined, ...] = (
    evt.WorkDistributed(
        work_id="captions",
        item_count=250,
        batch_size=50,
        assignments=(
            evt.Assignment(device_id=_FIRST_GPU, runs=((0, 100), (150, 20))),
            evt.Assignment(device_id=_SECOND_GPU, runs=((100, 50), (170, 30))),
        ),
        unassigned=((200, 50),),
        reason="2 devices take at most 100 each: 50 of 250 items are left",
        to=_TO,
        max_per_device=120,
        batches_ahead=4,
        max_tries=5,
        retry_delay_s=0.5,
        command_sequence=17,
        source=_SOURCE,
        source_end=41_000,
    ),
    evt.WorkDrawn(
        work_id="captions",
        number=1,
        item_count=300,
        batch_size=40,
        through=31_000,
        assignments=(evt.Assignment(device_id=_FIRST_GPU, runs=((250, 290),)),),
        unassigned=((540, 10),),
        reason="10 items are larger than 524288 bytes",
    ),
    evt.WorkDispatched(
        work_id="captions",
        number=2,
        batches=(evt.HandOut(device_id=_FIRST_GPU, batch=1, runs=((50, 40),), again=True),),
    ),
    evt.WorkReassigned(
        work_id="captions",
        number=3,
        device_id=_FIRST_GPU,
        reason="nobody takes it",
        batches=(1,),
        assignments=(evt.Assignment(device_id=_SECOND_GPU, runs=((50, 40),)),),
        silent=True,
    ),
    evt.BatchFinished(
        work_id="captions",
        device_id=_FIRST_GPU,
        batch=1,
        item_count=50,
        failures=(evt.ItemFailure(index=61, reason="the picture is no picture"),),
        seconds=12.5,
    ),
    evt.ItemFailed(
        work_id="captions",
        index=61,
        tries=(evt.Try(device_id=_FIRST_GPU, reason="the picture is no picture", at=_NOON),),
        body=msgspec.Raw(b'"a.png"'),
    ),
    evt.WorkProgressed(work_id="captions", item_count=250, done=120, failed=1, unassigned=50, cancelled=9, waiting=70),
    evt.WorkCancelled(work_id="captions"),
    evt.WorkRetried(work_id="captions", items=((61, 1),)),
    evt.WorkCompleted(
        work_id="captions",
        done=199,
        failed=1,
        unassigned=50,
        number=4,
        cancelled=2,
        redone=3,
        devices=(evt.DeviceShare(device_id=_FIRST_GPU, done=120, failed=1, seconds=31.5),),
    ),
    evt.WorkerJoined(device_id=_FIRST_GPU, worker="captioner"),
)

COMMANDS: tuple[cmd.Command, ...] = (
    cmd.Distribute(
        command_id="distribute-captions",
        items=(_PICTURE, msgspec.Raw(b'{"picture":"b.png"}'), msgspec.Raw(b"3")),
        to=_TO,
        strategy=cmd.Strategy.COST,
        weights={_FIRST_GPU: 2.0, _SECOND_GPU: 1.0},
        costs=(3.0, 1.0, 2.0),
        near={"node-7": ((0, 2),)},
        max_per_device=100,
        batch_size=50,
        batches_ahead=4,
        max_tries=5,
        retry_delay_s=0.5,
        work_id="captions",
    ),
    cmd.Cancel(command_id="cancel-captions", work_id="captions"),
    cmd.Retry(command_id="retry-captions", work_id="captions", items=(61, 62)),
)

BATCH = Batch(
    work_id="captions",
    device_id=_FIRST_GPU,
    batch=1,
    items=(Item(index=50, body=_PICTURE), Item(index=51, body=msgspec.Raw(b"null"))),
)
