"""Writes the folder of schemas, or says what in it is stale."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fleetfold_contracts.schemas import files


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder, or with `--check` compare it. Gives the exit code: 1 when something is stale."""
    parser = argparse.ArgumentParser(prog="python -m fleetfold_contracts.schemas", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a file is stale")
    given = parser.parse_args(arguments)
    if not given.check:
        files.write(given.folder)
        return 0
    stale = files.stale(given.folder)
    for path in stale:
        sys.stderr.write(f"stale: {given.folder / path}\n")
    if stale:
        sys.stderr.write("the structs have moved on: run `just schemas`, and commit what it writes\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
