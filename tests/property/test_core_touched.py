"""What is not named as touched is after a record what it was before, whatever happens."""

from collections.abc import Mapping

import msgspec
from hypothesis import given

from fleetfold_contracts.samples import NodeSample
from fleetfold_core.state import State
from fleetfold_core.touched import NOTHING, Touched, touched, touched_by_samples
from tests.property.core_strategies import Reader, Step, examples, histories

FORGOTTEN_BY_AGE = {"works"}


@examples(80)
@given(history=histories())
def test_only_what_is_named_changes(history: list[Step]) -> None:
    reader = Reader()
    for step in history:
        named = touched_by(reader.state, step)
        before = encoded_parts(reader.state)
        reader.read([step])
        after = encoded_parts(reader.state)
        for part in Touched._fields:
            assert_only_named(part, set(getattr(named, part)), before[part], after[part])


def touched_by(state: State, step: Step) -> Touched:
    if isinstance(step.record, NodeSample):
        return touched_by_samples(step.record)
    return NOTHING if step.record is None else touched(state, step.record)


def encoded_parts(state: State) -> dict[str, dict[object, bytes]]:
    return {
        part: {key: msgspec.msgpack.encode(value) for key, value in getattr(state, part).items()}
        for part in Touched._fields
    }


def assert_only_named(
    part: str, named: set[object], before: Mapping[object, bytes], after: Mapping[object, bytes]
) -> None:
    changed = {key for key in after if before.get(key) != after[key]}
    assert changed <= named
    if part not in FORGOTTEN_BY_AGE:
        assert before.keys() - after.keys() <= named
