"""`python -m fleetfold_telemetry_agent`: runs the agent with settings from the environment."""

import os

from fleetfold_runtime.run import run_service
from fleetfold_telemetry_agent.service import NAME, serve
from fleetfold_telemetry_agent.settings import AgentSettings


def main() -> None:
    """Run until SIGTERM."""
    run_service(NAME, AgentSettings, serve, os.environ)


if __name__ == "__main__":
    main()
