"""The AsyncAPI document is what the official parser takes for one."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetfold_contracts.schemas.asyncapi import asyncapi
from fleetfold_contracts.schemas.catalogue import MESSAGES, channels
from fleetfold_contracts.subjects import Subjects

CHECKER = Path(__file__).parents[1] / "schemas/asyncapi_valid.mjs"
PARSER = CHECKER.parent / "node_modules/@asyncapi/parser"


@pytest.fixture
def node() -> str:
    """Node.js, with the parser that npm puts beside the checker."""
    found = shutil.which("node")
    if found is None or not PARSER.is_dir():
        missing = f"needs node, and npm install --no-save --prefix {CHECKER.parent} @asyncapi/parser"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def check(node: str, document: object, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "asyncapi.json"
    path.write_text(json.dumps(document))
    return subprocess.run([node, CHECKER, path], capture_output=True, text=True, timeout=60)


def test_the_official_parser_finds_nothing_wrong(node: str, tmp_path: Path) -> None:
    done = check(node, asyncapi(channels(Subjects())), tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(MESSAGES) - 1} messages" in done.stdout  # all but the envelope, which is part of the others


def test_the_official_parser_would_find_a_message_that_is_not_there(node: str, tmp_path: Path) -> None:
    document = asyncapi(channels(Subjects()))
    del document["components"]["messages"]["Place"]
    done = check(node, document, tmp_path)
    assert done.returncode == 1
    assert "Place" in done.stderr


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi(channels(Subjects()))
    text = json.dumps(document)
    for reference in {part.partition('"')[0] for part in text.split('"$ref": "#/')[1:]}:
        place = document
        for step in reference.split("/"):
            place = place[step]
        assert place
