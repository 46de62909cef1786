"""NVIDIA's driver library without a driver, for all processes that a test starts, and steered while they run."""

from pathlib import Path

import pytest

from tests.support.fake_drivers import FakeDrivers


def nvidia_library(folder: Path) -> Path:
    """Build it in a folder, for `LD_LIBRARY_PATH`."""
    place = folder / "nvml"
    FakeDrivers(folder).library(place / "libnvidia-ml.so.1", "nvml.c")
    return place


class FakeNvidia:
    """How the GPUs fare that the library has."""

    def __init__(self, library: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._words = folder / "gpus"
        self.gpus_are("healthy")
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
        monkeypatch.setenv("FAKE_GPU_FILE", str(self._words))

    def gpus_are(self, how: str) -> None:
        """From now on (the words are in `nvml.c`)."""
        written = self._words.with_suffix(".new")
        written.write_text(how)
        written.replace(self._words)
