"""Everything in this folder needs a Docker Engine."""

import pytest

from tests.docker.engine import require_engine


@pytest.fixture(scope="session", autouse=True)
def docker_engine() -> None:
    """A Docker Engine answers."""
    require_engine()
