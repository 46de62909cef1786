"""The public NATS image, started for as long as a block runs."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

IMAGE = "nats:2.15"
PORT = 4222


@contextmanager
def nats_in_container() -> Generator[str]:
    """A NATS server with JetStream of its own; yields its URL."""
    # The reaper is an image more to pull, for a container that this block removes itself.
    testcontainers_config.ryuk_disabled = True
    ready = LogMessageWaitStrategy("Server is ready").with_startup_timeout(60).with_poll_interval(0.1)
    container = DockerContainer(IMAGE).with_command(["-js", "--store_dir", "/data"]).waiting_for(ready)
    # Published on this machine's own address, on a port that the engine chooses. The types know no address.
    cast("dict[str, Any]", container.ports)[f"{PORT}/tcp"] = ("127.0.0.1",)
    with container:
        yield f"nats://127.0.0.1:{container.get_exposed_port(PORT)}"
