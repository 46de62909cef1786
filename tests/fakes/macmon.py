"""Stands in for macmon: `macmon.py PLAY pipe [--soc-info] [--interval MS]` writes the lines of the file PLAY.

Its own pid comes first, into PLAY.pid. After the last line it stays, unless that is `!exit CODE`. `!old` makes it
refuse what older versions do not know, `!deaf` refuse to be ended.
"""

import argparse
import os
import signal
import sys
from pathlib import Path


def main(play: Path) -> None:
    lines = play.read_bytes().splitlines()
    _as_called(knows_soc_info=b"!old" not in lines)
    Path(f"{play}.pid").write_text(str(os.getpid()))
    for line in lines:
        if line == b"!deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif line.startswith(b"!exit "):
            sys.exit(int(line.split()[1]))
        else:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
    while True:
        signal.pause()


def _as_called(*, knows_soc_info: bool) -> None:
    parser = argparse.ArgumentParser(prog="macmon", allow_abbrev=False)
    pipe = parser.add_subparsers(required=True).add_parser("pipe", allow_abbrev=False)
    pipe.add_argument("--interval", type=int, default=1000)
    if knows_soc_info:
        pipe.add_argument("--soc-info", action="store_true")
    parser.parse_args(sys.argv[2:])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
