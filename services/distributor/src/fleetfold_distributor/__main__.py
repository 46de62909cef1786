"""`python -m fleetfold_distributor`: runs the distributor with settings from the environment."""

import os

from fleetfold_distributor.service import NAME, serve
from fleetfold_runtime.run import run_service
from fleetfold_runtime.settings import Settings


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, Settings, serve, os.environ)


if __name__ == "__main__":
    main()
