"""`python -m fleetfold_gateway`: runs the gateway with settings from the environment."""

import os

from fleetfold_gateway.service import NAME, serve
from fleetfold_gateway.settings import GatewaySettings
from fleetfold_runtime.run import run_service


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, GatewaySettings, serve, os.environ)


if __name__ == "__main__":
    main()
