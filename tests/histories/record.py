"""`just record NAME`: records a history of this version, with every type of event, and the facts that come of it.

A recorded history is never written anew: it is what an older version left behind, and must fold for ever.
"""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec

from fleetfold_bus.memory import MemoryBroker, MemoryBus
from fleetfold_contracts import codec
from fleetfold_contracts import events as evt
from fleetfold_contracts.schemas import examples
from fleetfold_contracts.subjects import Subjects
from fleetfold_contracts.workloads import Allocation, Shard, Workload
from fleetfold_core.facts import facts
from fleetfold_core.state import State
from fleetfold_runtime.log_file import read_log, write_log
from fleetfold_runtime.past import fold_record
from tests.support.examples import GIB, a_device, a_node

FOLDER = Path(__file__).parent
SUBJECTS = Subjects()


def scenario() -> Iterator[evt.Event]:
    """A small cluster with placements and a pool of its own; then every type of event, possible here or not."""
    for node_id in ("desk-1", "desk-2"):
        yield evt.NodeJoined(node=a_node(node_id))
        for index in range(2):
            yield evt.DeviceRegistered(node_id=node_id, capabilities=a_device(f"{node_id}-gpu{index}"))
    for name, device_id in (("llama", "desk-1-gpu0"), ("bert", "desk-1-gpu1"), ("whisper", "desk-1-gpu1")):
        yield placed(name, device_id)
    yield evt.PlacementReleased(pool="default", workload_id="bert")
    yield evt.NodeTransferred(pool="default", to="research", node_ids=("desk-2",))
    for event in examples.EVENTS:
        yield event
        if isinstance(event, evt.DeviceRegistered):
            yield evt.NodeJoined(node=a_node(event.node_id))
            yield evt.DeviceRegistered(node_id=event.node_id, capabilities=a_device("node-7-gpu-1"))
            yield evt.NodeTransferred(pool="default", to="research", node_ids=(event.node_id,))
    yield evt.DeviceCordoned(pool="default", device_id="desk-1-gpu0", reason="its fan is loud")


def placed(name: str, device_id: str) -> evt.PlacementDecided:
    """A workload of 8 GiB on a device of the first node."""
    allocation = Allocation(shard_id="0", device_id=device_id, node_id="desk-1", memory_bytes=8 * GIB, score=0.9)
    workload = Workload(workload_id=name, shards=(Shard(memory_bytes=8 * GIB),))
    return evt.PlacementDecided(workload=workload, allocations=(allocation,), solver="greedy")


def folded(file: Path) -> State:
    """The facts that a recorded history comes to."""
    state = State()
    for record in read_log(file):
        fold_record(state, SUBJECTS, record)
    return facts(state)


def readable(state: State) -> object:
    """A state as plain JSON, which has text alone for keys: those that are pairs are joined.

    Why something was parked is left out: a later version may put it in other words.
    """
    return _with_text_keys(msgspec.to_builtins(msgspec.structs.replace(state, parked=[]), builtin_types=(datetime,)))


def _with_text_keys(value: object) -> object:
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value).items()
        return {_text(key): _with_text_keys(inner) for key, inner in entries}
    if isinstance(value, list | tuple):
        return [_with_text_keys(inner) for inner in cast("list[object]", value)]
    return value.isoformat() if isinstance(value, datetime) else value


def _text(key: object) -> str:
    return ".".join(map(_text, cast("tuple[object, ...]", key))) if isinstance(key, tuple) else str(key)


async def _record(name: str) -> None:
    file = FOLDER / f"{name}.jsonl.gz"
    if file.exists():
        sys.exit(f"{file} is recorded already, and stays as it is: choose another name")
    events = list(scenario())
    missing = set(evt.EVENT_TYPES.values()) - {type(event) for event in events}
    assert not missing, f"the scenario lacks {missing}"
    bus = MemoryBus(MemoryBroker(), SUBJECTS)
    await bus.ensure_streams()
    for number, event in enumerate(events, start=1):
        payload = codec.encode_event(
            event, id=f"event-{number}", source="record", time=datetime.now(UTC), cause=f"command-{number}"
        )
        await bus.append(SUBJECTS.event(event), payload, message_id=f"event-{number}")
    await write_log(bus, SUBJECTS, file)
    await bus.close()
    told = msgspec.json.format(msgspec.json.encode(readable(folded(file))))
    (FOLDER / f"{name}.facts.json").write_bytes(told + b"\n")


if __name__ == "__main__":
    asyncio.run(_record(sys.argv[1]))
