"""The measurements can be made: each gives its figures, and leaves nothing behind."""

import math
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.bench.__main__ import BENCHES

WITHIN_S = 110.0


def test_every_measurement_gives_its_figures(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    figures = tmp_path / "figures.json"

    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", str(figures)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WITHIN_S)

    assert done.returncode == 0, done.stderr
    reports = msgspec.json.decode(figures.read_bytes())
    assert len(reports) == len(BENCHES)
    for rows in (report["rows"] for report in reports):
        # The first row is what the others are compared with.
        assert len(rows) > 1
        assert all(math.isfinite(row["median"]) and row["median"] >= 0 for row in rows)
        assert any(row.get("ratio", 0) > 0 for row in rows[1:])
    assert list(temporary.iterdir()) == []
