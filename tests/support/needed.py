"""What a test needs of the machine: where it is missing the test is skipped and says so, and in CI it fails."""

import os
import shutil
from pathlib import Path

import pytest


def program(name: str, *, also_in: Path | None = None) -> str:
    """The path of a program. `also_in` is a folder to look into beside the path."""
    found = shutil.which(name) or (also_in and shutil.which(name, path=str(also_in)))
    if found:
        return found
    reason = f"there is no program `{name}` on this machine"
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this: {reason}")
    pytest.skip(reason)
