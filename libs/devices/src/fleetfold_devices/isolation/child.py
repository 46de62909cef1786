"""`python -m fleetfold_devices.isolation.child VENDOR NODE_ID WANTED`: looks at the devices of a vendor for its parent.

Questions come on stdin, replies go to stdout, `WANTED` is JSON. It ends with its stdin, and so with whoever started it,
even while it is stuck in a driver's call.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

import msgspec

from fleetfold_contracts.ids import NodeId
from fleetfold_contracts.inventory import Vendor
from fleetfold_devices.isolation.frames import Reply, Unavailable, framed, read_question
from fleetfold_devices.isolation.look import Question, look
from fleetfold_devices.local import ADAPTERS
from fleetfold_devices.port import DeviceSource, VendorUnavailableError, Wanted

STDIN, STDOUT, STDERR = range(3)

Questions = SimpleQueue[Question]


def main(vendor: str, node_id: NodeId, wanted: str) -> None:
    """Open a vendor's source, and look at it as often as asked."""
    open_adapter = ADAPTERS[Vendor(vendor)]
    serve(lambda: open_adapter(node_id, msgspec.json.decode(wanted, type=Wanted)))


def serve(open_source: Callable[[], DeviceSource]) -> None:
    """Answer until stdin ends, or until the vendor turns out to be unavailable, which is then the last reply."""
    # A Ctrl-C reaches all processes of a terminal. Whoever started us ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe, replies = _own_pipes()
    questions: Questions = SimpleQueue()
    Thread(target=_receive, args=(pipe, questions), daemon=True).start()
    try:
        source = open_source()
        while True:
            _send(replies, look(source, questions.get(), _now))
    except VendorUnavailableError as error:
        _send(replies, Unavailable.of(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout for us alone: what a driver or a binding prints, in Python or in C, goes to stderr."""
    own = os.fdopen(os.dup(STDIN), "rb"), os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN)
    os.dup2(STDERR, STDOUT)
    return own


def _receive(pipe: BinaryIO, questions: Questions) -> None:
    while (question := read_question(pipe)) is not None:
        questions.put(question)
    os._exit(0)  # A driver's call that never returns keeps no process alive so.


def _send(replies: BinaryIO, reply: Reply) -> None:
    replies.write(framed(reply))
    replies.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
