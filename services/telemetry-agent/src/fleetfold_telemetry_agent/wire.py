"""What a TCP connection carries: bytes go from one agent to another, and are counted where they arrive.

The calls block, for some seconds at most: they are made in threads, so that nothing else of an agent waits for them.
"""

import hmac
import secrets
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from fleetfold_runtime.clock import Clock

SEND_FOR_S = 2.0
LISTEN_FOR_S = 5.0
CONNECT_WITHIN_S = 2.0
PROVE_WITHIN_S = 0.5
"""A stranger who connects and says nothing keeps the one who is awaited no longer than this."""
CHUNK_BYTES = 1024**2
NATS_PORT = 4222

_TOKEN_BYTES = 32


class Carried(NamedTuple):
    """What arrived, from the first moment to the last."""

    byte_count: int
    took_s: float

    @property
    def bandwidth_gbps(self) -> float:
        """In gigabits a second."""
        return self.byte_count * 8 / self.took_s / 1e9


def address_toward(nats_url: str) -> str:
    """This machine's address on the way to the NATS server. Asks for the server's name, and sends nothing.

    Raises:
        OSError: there is no way.
    """
    server = urlsplit(nats_url.partition(",")[0].strip())
    ways = socket.getaddrinfo(server.hostname, server.port or NATS_PORT, type=socket.SOCK_DGRAM)
    family, kind, _, _, address = ways[0]
    with socket.socket(family, kind) as way:
        way.connect(address)
        host: str = way.getsockname()[0]
        return host


class Ear:
    """Listens for one connection, which shows the `token` first. Whoever does not is sent away."""

    def __init__(self, host: str, *, limit_bytes: int, clock: Clock) -> None:
        """Listen at any free port of `host`.

        Raises:
            OSError: that is no address of this machine.
        """
        self._socket = socket.create_server((host, 0), family=_family(host))
        self._limit_bytes = limit_bytes
        self._clock = clock
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_hex(_TOKEN_BYTES // 2)

    def hear(self) -> None:
        """Take the connection, and answer on it what arrived.

        Raises:
            OSError: nobody came in time, or it broke off.
        """
        until_s = self._clock.monotonic_s() + LISTEN_FOR_S
        with self._socket:
            while not self._heard_one(until_s - self._clock.monotonic_s()):
                pass

    def _heard_one(self, within_s: float) -> bool:
        if within_s <= 0:
            raise TimeoutError("nobody came who had the token")
        self._socket.settimeout(within_s)
        connection, _ = self._socket.accept()
        with connection:
            if not self._is_proven(connection):
                return False
            connection.settimeout(SEND_FOR_S)
            connection.sendall(msgspec.json.encode(self._counted(connection)))
            return True

    def _is_proven(self, connection: socket.socket) -> bool:
        try:
            shown = self._shown(connection)
        except OSError:
            return False
        return hmac.compare_digest(shown, self.token.encode())

    def _shown(self, connection: socket.socket) -> bytes:
        shown = b""
        until_s = self._clock.monotonic_s() + PROVE_WITHIN_S
        while len(shown) < _TOKEN_BYTES and (left_s := until_s - self._clock.monotonic_s()) > 0:
            connection.settimeout(left_s)
            part = connection.recv(_TOKEN_BYTES - len(shown))
            if not part:
                break
            shown += part
        return shown

    def _counted(self, connection: socket.socket) -> Carried:
        buffer = bytearray(CHUNK_BYTES)
        byte_count = 0
        began_s = self._clock.monotonic_s()
        until_s = began_s + SEND_FOR_S + CONNECT_WITHIN_S
        while byte_count < self._limit_bytes and self._clock.monotonic_s() < until_s:
            arrived = connection.recv_into(buffer)
            if not arrived:
                break
            byte_count += arrived
        return Carried(byte_count, self._clock.monotonic_s() - began_s)


def send(host: str, port: int, token: str, *, byte_count: int, clock: Clock) -> Carried:
    """Send so many bytes to an `Ear`, for as long as is allowed. Gives what arrived.

    Raises:
        OSError: it cannot be reached, or broke off.
    """
    with socket.create_connection((host, port), timeout=CONNECT_WITHIN_S) as connection:
        connection.sendall(token.encode())
        _pour(connection, byte_count, clock)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(LISTEN_FOR_S)
        return _answer(connection)


def _pour(connection: socket.socket, byte_count: int, clock: Clock) -> None:
    chunk = memoryview(bytes(min(CHUNK_BYTES, byte_count)))
    until_s = clock.monotonic_s() + SEND_FOR_S
    while byte_count and (left_s := until_s - clock.monotonic_s()) > 0:
        connection.settimeout(left_s)
        try:
            byte_count -= connection.send(chunk[:byte_count])
        except TimeoutError:
            return


def _answer(connection: socket.socket) -> Carried:
    answer = bytearray()
    while part := connection.recv(1024):
        answer += part
    try:
        carried = msgspec.json.decode(answer, type=Carried)
    except msgspec.DecodeError:
        raise ConnectionError("the other side broke off") from None
    if not carried.byte_count or carried.took_s <= 0:
        raise ConnectionError("nothing arrived at the other side")
    return carried


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
