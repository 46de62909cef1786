"""What a test needs of the machine: where it is missing the test is skipped and says so, and in CI it fails."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test that asks, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}")
    pytest.skip(reason)


def program(name: str, *, also_in: Path | None = None) -> str:
    """The path of a program. `also_in` is a folder to look into beside the path."""
    found = shutil.which(name) or (also_in and shutil.which(name, path=str(also_in)))
    return found or missing(f"there is no program `{name}` on this machine")
