"""How fast many items are planned over many devices, and how near to the best what is planned by cost comes."""

import math
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from fleetfold_contracts.commands import MAX_ITEMS
from fleetfold_core import runs
from fleetfold_core.distribute import Spread, distribute_by_capacity, distribute_by_cost, distribute_uniform
from tests.bench.measure import Effort, Report, Series, rate_per_s, take_turns

DEVICES = 1000
SEED = 20261

LOOP = "one by one, in turn"
BOUND = "no plan ends earlier"
LONGEST_FIRST = "cost: the longest first"
IN_TURN = "uniform: in turn"


async def measure(_: Path, effort: Effort) -> Report:
    """Items planned a second, beside a loop that gives the next item to the next device."""
    count = effort.planned_items
    weights = {device: float(1 + index % 7) for index, device in enumerate(_devices())}
    costs = _costs(min(count, MAX_ITEMS), kinds=100)
    plans = {
        LOOP: _rate(count, lambda: _in_turn(count)),
        "uniform": _rate(count, lambda: distribute_uniform(count, _devices())),
        "capacity": _rate(count, lambda: distribute_by_capacity(count, weights)),
        f"cost, {len(costs)} items of a hundred kinds": _rate(len(costs), lambda: distribute_by_cost(costs, weights)),
    }
    rates = await take_turns(plans, effort.rounds)
    series = (
        Series(name=name, values=tuple(values), against=None if name == LOOP else LOOP)
        for name, values in rates.items()
    )
    return Report(title=f"Plan {count} items over {DEVICES} devices", unit="items/s", series=tuple(series))


async def measure_balance(_: Path, effort: Effort) -> Report:
    """The end of plans of items whose costs are drawn evenly, no two alike, on devices of one speed."""
    count = effort.planned_items // 20
    costs = _costs(count, kinds=math.inf)
    speeds = dict.fromkeys(_devices(), 1.0)
    ends = {
        BOUND: max(sum(costs) / DEVICES, *costs),
        LONGEST_FIRST: _end(distribute_by_cost(costs, speeds), costs),
        IN_TURN: _end(distribute_uniform(count, list(speeds)), costs),
    }
    series = (Series(name=name, values=(end,), against=None if name == BOUND else BOUND) for name, end in ends.items())
    return Report(title=f"End of {count} items on {DEVICES} devices", unit="units of cost", series=tuple(series))


def _rate(count: int, plan: Callable[[], object]) -> Callable[[], Awaitable[float]]:
    async def planned() -> None:
        plan()

    return lambda: rate_per_s(count, planned())


def _in_turn(count: int) -> list[list[int]]:
    given: list[list[int]] = [[] for _ in range(DEVICES)]
    for item in range(count):
        given[item % DEVICES].append(item)
    return given


def _devices() -> list[str]:
    return [f"gpu-{index:04}" for index in range(DEVICES)]


def _costs(count: int, *, kinds: float) -> list[float]:
    random = Random(SEED)
    return [random.uniform(1, 10) if math.isinf(kinds) else float(random.randint(1, int(kinds))) for _ in range(count)]


def _end(spread: Spread, costs: Sequence[float]) -> float:
    return max(sum(costs[item] for item in runs.numbers(given)) for given in spread.runs.values())
