"""A model cut into shards: by layers, in proportion to what devices can hold, or every layer into equal parts."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import gcd
from typing import NamedTuple

from fleetfold_contracts.workloads import MAX_SHARDS, WHOLE_GPU_MILLI, Cut, MemoryEstimate, Model, Shard, Workload
from fleetfold_core._solve.problem import Problem
from fleetfold_core.model_memory import estimate, may_be_cut_into, total_bytes

COUNTS_TRIED_MAX = 12
GROUPS_TRIED_MAX = 6


class Part(NamedTuple):
    """What one shard holds of a model: the first of its layers, how many, and which part of each."""

    first: int
    layers: int
    parts: int = 1
    rank: int | None = None


class Knife:
    """Cuts one workload's model for the devices that may take a part of it."""

    def __init__(self, workload: Workload, problem: Problem) -> None:
        """`problem` has the devices; what its shards are is no matter."""
        assert workload.model is not None, "a workload with a model"
        self.model: Model = workload.model
        self._milli = WHOLE_GPU_MILLI if workload.constraints.exclusive else self.model.gpu_milli
        self._problem = problem
        self._shards_max = MAX_SHARDS // workload.replicas
        self._bytes = [total_bytes(estimate(self.model, layers)) for layers in range(1, self.model.layers + 1)]
        self._holds = [self.holds(spot) for spot in range(len(problem.spots))]

    def holds(self, spot: int) -> int:
        """How many layers a spot can hold."""
        return bisect_right(self._bytes, self._problem.spots[spot].free_bytes)

    def cuts(self) -> Iterator[list[Part]]:
        """The cuts to be tried, those into fewer shards first."""
        if self.model.cut is not Cut.TENSOR:
            yield from self._pipelines()
        if self.model.cut is not Cut.PIPELINE:
            yield from self._tensors()

    @property
    def may_be_piped(self) -> bool:
        """Whether the devices together have room for all layers."""
        return sum(self._holds) >= self.model.layers

    def shard(self, part: Part) -> Shard:
        """What a part asks of its device."""
        return Shard(memory_bytes=total_bytes(self.estimate(part)), gpu_milli=self._milli)

    def estimate(self, part: Part) -> MemoryEstimate:
        """The memory of a part."""
        return estimate(self.model, part.layers, part.parts)

    def problem(self, parts: Sequence[Part]) -> Problem:
        """Where to put these parts."""
        return replace(self._problem, shards=tuple(map(self.shard, parts)))

    def recut(self, parts: Sequence[Part], spots: Sequence[int]) -> list[Part]:
        """The same cut, in proportion to what the devices that were found can hold."""
        if parts[0].rank is not None or len(set(spots)) < len(spots):
            return list(parts)
        return pipeline(in_proportion(self.model.layers, [self._holds[spot] for spot in spots]))

    def _pipelines(self) -> Iterator[list[Part]]:
        groups = self._groups()
        fewest = min((count for group in groups if (count := self._fewest(group))), default=None)
        if fewest is None:
            return
        most = min(self.model.layers, self._shards_max, len(self._problem.spots))
        for count in range(fewest, min(most, fewest + COUNTS_TRIED_MAX) + 1):
            tried: set[tuple[int, ...]] = set()
            for holds in self._best_holds(groups, count):
                layers = tuple(in_proportion(self.model.layers, holds))
                if layers not in tried:
                    tried.add(layers)
                    yield pipeline(layers)
            even = tuple(in_proportion(self.model.layers, [1] * count))
            if even not in tried:
                yield pipeline(even)

    def _groups(self) -> list[list[int]]:
        """What the devices can hold that may be used together, the largest first in each."""
        problem = self._problem
        what = problem.group_of()
        members: dict[object, list[int]] = {None: self._holds} if what is None else {}
        for spot, holds in enumerate(self._holds):
            if what is not None:
                members.setdefault(what(problem.spots[spot]), []).append(holds)
            for near in problem.regions.near[problem.regions.of_spot[spot]] if len(problem.regions.near) > 1 else ():
                members.setdefault(near, []).append(holds)
        return [sorted(holds, reverse=True) for holds in members.values()]

    def _fewest(self, holds: Sequence[int]) -> int | None:
        held = 0
        for count, layers in enumerate(holds, start=1):
            held += layers
            if held >= self.model.layers:
                return count
        return None

    def _best_holds(self, groups: Sequence[Sequence[int]], count: int) -> list[Sequence[int]]:
        able: set[Sequence[int]] = {
            tuple(holds[:count]) for holds in groups if len(holds) >= count and holds[count - 1] > 0
        }
        enough = [holds for holds in able if sum(holds) >= self.model.layers]
        return sorted(enough, key=lambda holds: (-sum(holds), holds))[:GROUPS_TRIED_MAX]

    def _tensors(self) -> Iterator[list[Part]]:
        most = min(gcd(self.model.attention_heads, self.model.hidden_size), self._shards_max)
        for parts in range(1, most + 1):
            if may_be_cut_into(self.model, parts):
                yield [Part(0, self.model.layers, parts, rank) for rank in range(parts)]


def pipeline(layers: Sequence[int]) -> list[Part]:
    """Parts that follow each other, with so many layers each."""
    return [Part(sum(layers[:place]), count) for place, count in enumerate(layers)]


def in_proportion(total: int, weights: Sequence[int]) -> list[int]:
    """Whole shares of `total` in proportion to weights, at least one each, by the method of the largest remainder.

    With no less weight than `total`, no share is larger than its weight.
    """
    assert total >= len(weights), f"{len(weights)} shares of {total}"
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    for place, share in enumerate(shares):
        if not share:
            shares[place] = 1
            shares[shares.index(max(shares))] -= 1
    return shares
