"""The part of a state that a share of the fleet is: its nodes and their devices, and all that is no matter of nodes."""

from msgspec.structs import replace

from fleetfold_contracts.shares import WHOLE, Share
from fleetfold_core.state import State


class Part:
    """A share's part of a state that goes on. Its entries are those of the state itself."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._part = State()

    def of(self, state: State) -> State:
        """The part as it is now. Which nodes and devices are in it is looked at again when the log has moved on."""
        if self._share == WHOLE:
            return state
        if self._part.position != state.position:
            nodes = {id_: node for id_, node in state.nodes.items() if self._share.holds(id_)}
            devices = {id_: device for id_, device in state.devices.items() if device.node_id in nodes}
            self._part = replace(state, nodes=nodes, devices=devices)
        return self._part
