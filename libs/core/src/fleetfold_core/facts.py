"""The facts in a state: what follows from the log alone, however much telemetry was folded beside it."""

import hashlib

import msgspec
from msgspec.structs import replace

from fleetfold_core.state import DeviceState, NodeState, State

_NOT_FACTS = frozenset({"position", "samples_position", "ignored_sample_count"})
_encoder = msgspec.msgpack.Encoder()


def facts(state: State) -> State:
    """The state without what samples brought: who was heard when, and what was read."""
    return replace(
        state,
        samples_position=0,
        ignored_sample_count=0,
        nodes={node_id: _node(node) for node_id, node in state.nodes.items()},
        devices={device_id: _device(device) for device_id, device in state.devices.items()},
    )


def forget_samples(state: State) -> None:
    """Make of a state, in place, one that has read no samples: they are folded from the first on, as far as kept.

    When nodes were heard last is kept: one that is silent for longer than samples are must be missed all the same.
    """
    state.samples_position = state.ignored_sample_count = 0
    for node in state.nodes.values():
        node.last_tick = -1
    for device in state.devices.values():
        device.sample, device.foreign_bytes = None, 0


def digests(state: State) -> dict[str, str]:
    """A digest of each part of the facts. Two states of one position have the same, or one of them is wrong."""
    told = facts(state)
    return {part: _digest(getattr(told, part)) for part in State.__struct_fields__ if part not in _NOT_FACTS}


def _digest(part: object) -> str:
    return hashlib.blake2b(_encoder.encode(part), digest_size=16).hexdigest()


def _node(node: NodeState) -> NodeState:
    return replace(node, last_seen=None, last_tick=-1, steady=False)


def _device(device: DeviceState) -> DeviceState:
    return replace(device, sample=None, foreign_bytes=0)
