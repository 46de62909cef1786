"""Histories that older versions recorded fold for ever, and come to what they came to then."""

from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.histories.record import FOLDER, folded, readable

HISTORIES = sorted(FOLDER.glob("*.jsonl.gz"))


@pytest.mark.parametrize("history", HISTORIES, ids=lambda file: file.name)
def test_a_recorded_history_comes_to_the_facts_of_then(history: Path) -> None:
    """What a version knew is still known. What newer versions know beside it is no difference."""
    recorded = msgspec.json.decode((FOLDER / history.name.replace(".jsonl.gz", ".facts.json")).read_bytes())
    assert not list(differences(recorded, readable(folded(history)), "$"))


def test_there_is_a_history() -> None:
    assert HISTORIES


def differences(recorded: object, now: object, path: str) -> list[str]:
    """The paths at which something recorded is other now, or gone."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        known, found = cast("dict[str, object]", recorded), cast("dict[str, object]", now)
        return [
            line
            for key in known
            for line in (differences(known[key], found[key], f"{path}.{key}") if key in found else [f"{path}.{key}"])
        ]
    if isinstance(recorded, list) and isinstance(now, list):
        pairs = cast("list[object]", recorded), cast("list[object]", now)
        if len(pairs[0]) != len(pairs[1]):
            return [f"{path}: {len(pairs[0])} then, {len(pairs[1])} now"]
        return [
            line
            for index, (was, is_) in enumerate(zip(*pairs, strict=True))
            for line in differences(was, is_, f"{path}[{index}]")
        ]
    return [] if recorded == now else [f"{path}: {recorded!r} then, {now!r} now"]
