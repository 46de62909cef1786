"""Health over HTTP: `/healthz` (the process runs), `/readyz` (it does its work) and `/metrics` for Prometheus."""

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app  # pyright: ignore[reportUnknownVariableType]  # it has no full types

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep probes out of the log: they come every few seconds."""


@contextmanager
def health_endpoint(port: int, ready: Callable[[], bool]) -> Generator[None]:
    """Answer on all interfaces, in a thread of its own, until the block ends. Port 0 answers nowhere."""
    if port == 0:
        yield
        return
    server = make_server(
        "", port, _application(ready), handler_class=_QuietHandler
    )  # a container is asked from outside
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _application(ready: Callable[[], bool]) -> "WSGIApplication":
    metrics = cast("WSGIApplication", make_wsgi_app())

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        good = {"/healthz": lambda: True, "/readyz": ready}.get(path)
        status = "404 Not Found" if good is None else "200 OK" if good() else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [status.encode() + b"\n"]

    return answer
