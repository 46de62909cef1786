"""A snapshot that is taken while the log goes on holds the state of the moment at which it was begun, to the byte."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetfold_contracts import events as evt
from fleetfold_core import snapshot
from fleetfold_core.snapshot import OutcomesInOrder, Snapshot
from tests.property.core_strategies import Reader, Step, examples, histories
from tests.property.test_core_touched import touched_by


@pytest.fixture(autouse=True, scope="module")
def _one_entry_at_once() -> Iterator[None]:
    """Each entry is a slice of its own, so that there is much between slices in a short history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "ENTRIES_AT_ONCE", 1)
        yield


@examples(80)
@given(history=histories(), data=st.data())
def test_what_happens_meanwhile_is_not_in_it(history: list[Step], data: st.DataObject) -> None:
    reader = Reader()
    outcomes = OutcomesInOrder(reader.state)
    for _ in range(2):
        begun_at = data.draw(st.integers(0, len(history)), label="begun at")
        reader.read(history[:begun_at])
        expected = reader.state.encode()
        taken = Snapshot(reader.state, outcomes)
        history = history[begun_at:]
        payload = b""
        for piece in taken.slices():
            payload += piece
            meanwhile = data.draw(st.sampled_from((0, 0, 0, 1, 3)), label="meanwhile")
            for step in history[:meanwhile]:
                taken.keep(touched_by(reader.state, step))
                reader.read([step])
            history = history[meanwhile:]
        assert payload == expected


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_it_may_be_of_any_size(count: int) -> None:
    reader = Reader()
    rejected = evt.CommandRejected(verb="place", reason="")
    reader.read(Step(rejected, f"c{number}", 0) for number in range(count))
    taken = Snapshot(reader.state, OutcomesInOrder(reader.state))
    assert b"".join(taken.slices()) == reader.state.encode()
