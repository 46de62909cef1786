"""`python -m fleetfold_placement_solver`: runs the solver with settings from the environment."""

import os

from fleetfold_placement_solver.service import NAME, serve
from fleetfold_runtime.run import run_service
from fleetfold_runtime.settings import Settings


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, Settings, serve, os.environ)


if __name__ == "__main__":
    main()
