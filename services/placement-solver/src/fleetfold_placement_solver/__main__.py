"""`python -m fleetfold_placement_solver`: runs the solver with settings from the environment."""

import os

from fleetfold_placement_solver.service import NAME, serve
from fleetfold_placement_solver.settings import SolverSettings
from fleetfold_runtime.run import run_service


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, SolverSettings, serve, os.environ)


if __name__ == "__main__":
    main()
