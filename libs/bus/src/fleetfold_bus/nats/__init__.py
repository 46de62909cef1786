"""The bus on NATS JetStream. This package alone imports `nats`, and uses no more of it than its core protocol.

Appending, reading and pulling are our own, because the client's lose messages, hang or take seconds where a server
goes away. What they stand on, from the bottom:

    _link       the connection: restored for ever, and it says so when it is lost
    _replies    questions under way, each with its future
    _api        the JetStream API: streams and consumers
    _feed       the messages of one consumer, pulled ahead
    _publisher  _reader  _queue  _service  _streams  _bucket
    _bus        all of it, as the port has it
"""

from fleetfold_bus.nats._bus import NatsBus

__all__ = ["NatsBus"]
