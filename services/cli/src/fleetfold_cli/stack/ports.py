"""Ports of this machine."""

import asyncio
from contextlib import closing
from socket import create_server

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.05


def port_near(wished: int) -> int:
    """A free port: the one wished for, or else any."""
    for port in (wished, 0):
        try:
            with create_server((HOST, port)) as listening:
                free: int = listening.getsockname()[1]
                return free
        except OSError:
            continue
    raise AssertionError("a machine with a loopback address has a free port")


async def something_listens(port: int) -> None:
    """Wait until something takes connections there. It waits for ever: give it a limit."""
    while True:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            with closing(writer):
                return
