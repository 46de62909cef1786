"""What free shares can still be filled with: an unbounded knapsack for each class of nodes and each price of CPU."""

import numpy as np

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI
from fleetfold_core._solve.fleet.columns import Flags, Integers
from fleetfold_core._solve.fleet.mix import Classes, Mix, Numbers

LEAST_MILLI = 10
"""What takes less of a device counts as if it took this: it fits nearly everywhere."""


class Fillings:
    """The best filling of each free share, by each price of CPU.

    `p` patterns (what may come to a class of nodes, told apart no further than that), `l` prices.
    """

    def __init__(self, classes: Classes, mix: Mix, cpu_prices: Numbers) -> None:
        """`cpu_prices`: thousandths of a GPU that a thousandth of a CPU costs."""
        weights = _weights(classes, mix)
        told_apart = np.concatenate([mix.common.astype(np.int64), weights])
        _, first, of_class = np.unique(told_apart, axis=1, return_index=True, return_inverse=True)
        table = _fill(mix.common[:, first].T, weights[:, first].T, _cpu_milli(mix), cpu_prices)
        self._flat: Numbers = table.transpose(2, 0, 1).reshape(len(cpu_prices), -1)
        """`l` x (`p` x 0 to `WHOLE_GPU_MILLI`): what a free share of one device can be filled to, less its CPU."""
        self._begin: Integers = of_class.reshape(-1)[classes.of_node] * (WHOLE_GPU_MILLI + 1)

    def of(self, nodes: Integers, shares: Integers) -> Numbers:
        """What free shares (nodes x places) of some nodes can be filled to: `l` x nodes x places."""
        return self._flat.take(self._begin[nodes][:, None] + shares, axis=1)


def _cpu_milli(mix: Mix) -> Numbers:
    return np.array([item.cpu_milli for item in mix.items], np.float64)


def _weights(classes: Classes, mix: Mix) -> Integers:
    """What each item takes of a device, items x `c`: its share, or its share of the memory where that is larger."""
    shares = np.array([item.gpu_milli for item in mix.items], np.int64)[:, None]
    asked_bytes = np.array([item.gpu_bytes for item in mix.items], np.int64)[:, None]
    of_memory = -(-asked_bytes * WHOLE_GPU_MILLI // np.maximum(classes.device_bytes, 1))
    return np.clip(np.maximum(shares, of_memory), LEAST_MILLI, WHOLE_GPU_MILLI)


def _fill(admitted: Flags, weights: Integers, cpu_milli: Numbers, cpu_prices: Numbers) -> Numbers:
    patterns = len(weights)
    table = np.zeros((patterns, WHOLE_GPU_MILLI + 1, len(cpu_prices)))
    for pattern in range(patterns):
        for item in np.flatnonzero(admitted[pattern]):
            weight = int(weights[pattern, item])
            _add(table[pattern], weight, weight - cpu_milli[item] * cpu_prices)
    return table


def _add(filled: Numbers, weight: int, gain: Numbers) -> None:
    """Let an item be used as often as it fits, in blocks as wide as it is: inside one, no share builds on another."""
    for first in range(weight, WHOLE_GPU_MILLI + 1, weight):
        block = filled[first : first + weight]
        np.maximum(block, filled[first - weight : first - weight + len(block)] + gain, out=block)
