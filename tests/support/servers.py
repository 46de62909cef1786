"""The servers that a suite runs on, by the fixtures in `tests/conftest.py` that give their URLs."""

import pytest

from tests.docker.engine import why_not

BINARY = "nats_binary_url"
IMAGE = "nats_image_url"

SERVERS = (BINARY, *(() if why_not() else (pytest.param(IMAGE, marks=pytest.mark.docker),)))
"""The binary always, and the public image where a Docker engine answers. That CI has one is held by `tests/docker`."""
