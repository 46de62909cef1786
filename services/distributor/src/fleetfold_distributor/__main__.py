"""`python -m fleetfold_distributor`: runs the distributor with settings from the environment."""

import os

from fleetfold_distributor.service import serve
from fleetfold_distributor.settings import DistributorSettings
from fleetfold_distributor.works import NAME
from fleetfold_runtime.run import run_service


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, DistributorSettings, serve, os.environ)


if __name__ == "__main__":
    main()
