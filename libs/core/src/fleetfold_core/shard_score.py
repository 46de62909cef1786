"""How good a place a device is for a shard that works together with others: the second formula, with its terms."""

from fleetfold_contracts.ids import DeviceId
from fleetfold_contracts.workloads import Workload
from fleetfold_core.score import score, score_parts, score_value
from fleetfold_core.state import DeviceState, State

WEIGHTS = {"compute": 0.40, "memory": 0.30, "network": 0.15, "thermal": 0.10, "bandwidth": 0.05}
REFERENCE_COMPUTE_UNITS = 132
"""Those of an H100, whose 1,500 or so TFLOPS are what strength is measured by. Devices tell units, and no TFLOPS."""
REFERENCE_LINK_GBPS = 400.0
"""One port of today's fast networks: whoever has as much waits little for its neighbours."""
REFERENCE_MEMORY_GBPS = 3350.0
"""An H100's, in gigabytes a second."""
UNKNOWN_SHARE = 0.5
"""What counts for a figure that a device does not tell: neither favour nor blame."""
TERM_DIGITS = 4


def works_together(workload: Workload) -> bool:
    """Whether a workload's shards are parts of one model: then they are scored as such."""
    return workload.model is not None or workload.constraints.neighbours is not None


class Scorer:
    """Scores the devices of a state for the shards of one workload."""

    def __init__(self, state: State, workload: Workload) -> None:
        """Parts of one model are scored by the second formula, all else as `score` does."""
        self._fastest = _fastest_links(state) if works_together(workload) else None

    def value(self, device: DeviceState) -> float:
        """The score, 0 to 1."""
        if self._fastest is None:
            return score_value(device)
        terms = self._of_part(self._fastest, device)
        return min(1.0, sum(weight * terms[name] for name, weight in WEIGHTS.items()))

    def terms(self, device: DeviceState) -> dict[str, float]:
        """What it is made of."""
        if self._fastest is None:
            parts = score(device)
            terms = {"memory": parts.memory, "idle": parts.idle, "penalty": parts.penalty}
        else:
            terms = self._of_part(self._fastest, device)
        return {name: round(term, TERM_DIGITS) for name, term in terms.items()}

    def _of_part(self, fastest: dict[DeviceId, float], device: DeviceState) -> dict[str, float]:
        """Strength that is idle, free memory, the fastest link of it or its node, coolness, memory bandwidth."""
        capabilities = device.capabilities
        memory, idle, penalty = score_parts(device)
        link_gbps = max(fastest.get(device.device_id, 0.0), fastest.get(device.node_id, 0.0)) or None
        return {
            "compute": _share(capabilities.compute_units, REFERENCE_COMPUTE_UNITS) * idle,
            "memory": memory,
            "network": _share(link_gbps, REFERENCE_LINK_GBPS),
            "thermal": penalty,
            "bandwidth": _share(capabilities.memory_bandwidth_gbps, REFERENCE_MEMORY_GBPS),
        }


def _share(told: float | None, reference: float) -> float:
    return UNKNOWN_SHARE if told is None else min(1.0, told / reference)


def _fastest_links(state: State) -> dict[DeviceId, float]:
    """The bandwidth of the fastest link of each device and node that tells of one."""
    fastest: dict[DeviceId, float] = {}
    for links in state.links.values():
        for link in links:
            if link.bandwidth_gbps is not None:
                for end in link.ends:
                    fastest[end] = max(fastest.get(end, 0.0), link.bandwidth_gbps)
    return fastest
