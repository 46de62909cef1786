"""The command `fleetfold`. This file alone reads the environment."""

import os
import signal
import sys

from fleetfold_cli.app import run
from fleetfold_cli.exits import SIGNAL_BASE
from fleetfold_cli.settings import DEFAULT_ROOT, DEFAULT_SERVER, Settings


def main() -> None:
    """Read `FLEETFOLD_NATS_URL` and `FLEETFOLD_ROOT`, and run the command that was typed."""
    server = os.environ.get("FLEETFOLD_NATS_URL") or DEFAULT_SERVER
    root = os.environ.get("FLEETFOLD_ROOT") or DEFAULT_ROOT
    try:
        run(sys.argv[1:], Settings(server=server, root=root, environment=os.environ))
    except KeyboardInterrupt:
        # It came while the command was still being imported: nothing has been started yet.
        sys.exit(SIGNAL_BASE + signal.SIGINT)


if __name__ == "__main__":
    main()
