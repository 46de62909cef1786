"""The strategies `pack` and `spread`: the fullest node and device that have room, or the emptiest."""

import numpy as np

from fleetfold_contracts.workloads import WHOLE_GPU_MILLI
from fleetfold_core._solve.fleet.columns import Columns, Flags, Integers
from fleetfold_core._solve.fleet.lens import Lens
from fleetfold_core._solve.fleet.mix import Numbers
from fleetfold_core.jobs import Job


class Fullness:
    """Ranks nodes by what is left on them."""

    def __init__(self, columns: Columns, *, emptiest_first: bool) -> None:
        """A node's GPUs count together as much as its CPU does, each measured by the largest node's."""
        self._columns = columns
        self._sign = 1.0 if emptiest_first else -1.0
        self._most_gpu_milli = WHOLE_GPU_MILLI * (columns.share.shape[1] or 1)
        self._most_cpu_milli = max((node.node.cpu_milli for node in columns.nodes), default=0) or 1

    def rank(self, job: Job, lens: Lens) -> tuple[Numbers, Flags | None, Integers]:
        """How good each node is for a job, where it fits by devices, and where there it would sit."""
        columns = self._columns
        left = columns.free_milli / self._most_gpu_milli + columns.cpu_milli / self._most_cpu_milli
        if not job.gpu_count:
            return self._sign * left, None, np.zeros((len(left), 0), np.int64)
        fits = (columns.share >= job.gpu_milli) & (columns.free_bytes >= job.gpu_bytes) & (columns.share >= 0)
        if lens.devices is not None:
            fits &= lens.devices
        order = np.where(fits, -self._sign * columns.share, np.inf).argsort(1, kind="stable")
        return self._sign * left, fits.sum(1) >= job.gpu_count, order[:, : job.gpu_count]
