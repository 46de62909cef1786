"""`python -m fleetfold_state_projector`: runs the projector with settings from the environment."""

import os

from fleetfold_runtime.run import run_service
from fleetfold_state_projector.service import NAME, serve
from fleetfold_state_projector.settings import ProjectorSettings


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, ProjectorSettings, serve, os.environ)


if __name__ == "__main__":
    main()
