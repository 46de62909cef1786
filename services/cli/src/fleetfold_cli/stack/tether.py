"""Run a program that dies with whoever started it: `python tether.py PARENT_PID PROGRAM ARGUMENT…`.

A parent that is killed outright cannot stop its children; on Linux the kernel does it for us. The child has to ask for
it before its program runs. To ask between fork and exec (`preexec_fn`) is unsafe as soon as the parent has a second
thread, and our progress display is one. So this small program asks, and then becomes the other: one process, one id.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def tethered(program: list[str]) -> list[str]:
    """The command line that runs a program so."""
    # -I -S: no site, no user's modules. It starts in a fraction of the time, and needs nothing of them.
    return [sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *program]


def main(parent_id: int, program: list[str]) -> None:
    """Ask for the signal, and become the program. Where the system has no such signal the program runs untethered."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_id:
            return  # The parent died before it could be asked.
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
