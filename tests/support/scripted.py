"""A vendor's process that does what a test writes into a file."""

import sys
from pathlib import Path

import msgspec

from tests.fakes.scripted_vendor import Script

FAKE = Path(__file__).parent.parent / "fakes" / "scripted_vendor.py"


class ScriptedVendor:
    """The file, and the command line of the process that follows it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "script.json"
        self.command = [sys.executable, str(FAKE), str(self._file)]
        self.plays(Script())

    def plays(self, script: Script) -> None:
        """From the next look on, do this."""
        written = self._file.with_suffix(".new")
        written.write_bytes(msgspec.json.encode(script))
        written.replace(self._file)
