"""Runs: numbers in a row as (first, count). Lists of them say which items of a work are meant, in order."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from fleetfold_core.state import Run


def size(runs: Iterable[Run]) -> int:
    """How many numbers some runs hold."""
    return sum(count for _, count in runs)


def numbers(runs: Iterable[Run]) -> Iterator[int]:
    """Each number of some runs, in their order."""
    for first, count in runs:
        yield from range(first, first + count)


def of_numbers(ascending: Iterable[int]) -> list[Run]:
    """The fewest runs that hold these numbers, which ascend."""
    runs: list[Run] = []
    for number in ascending:
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def merged(runs: Iterable[Run]) -> list[Run]:
    """The same numbers in ascending order, in the fewest runs."""
    joined: list[Run] = []
    for first, count in sorted(run for run in runs if run[1]):
        if joined and sum(joined[-1]) == first:
            joined[-1] = (joined[-1][0], joined[-1][1] + count)
        else:
            joined.append((first, count))
    return joined


def first_of(runs: Iterable[Run], count: int) -> list[Run]:
    """The first `count` numbers, or all where there are fewer."""
    taken: list[Run] = []
    for first, length in runs:
        if not count:
            break
        taken.append((first, min(length, count)))
        count -= taken[-1][1]
    return taken


def last_of(runs: list[Run], count: int) -> list[Run]:
    """The last `count` numbers in their order, or all where there are fewer."""
    taken: list[Run] = []
    for first, length in reversed(runs):
        if not count:
            break
        kept = min(length, count)
        taken.append((first + length - kept, kept))
        count -= kept
    return taken[::-1]


def without(runs: list[Run], removed: Iterable[Run]) -> list[Run] | None:
    """What is left in the same order; None where something to be removed is not there, each run of it in one piece."""
    left = list(runs)
    for first, count in removed:
        place = next((place for place, run in enumerate(left) if run[0] <= first and first + count <= sum(run)), None)
        if place is None:
            return None
        start, length = left[place]
        pieces = [(start, first - start), (first + count, start + length - first - count)]
        left[place : place + 1] = [piece for piece in pieces if piece[1]]
    return left


def minus(runs: Iterable[Run], removed: Iterable[Run]) -> list[Run]:
    """What is left of runs, in their order, without any number of those that are removed."""
    gone = merged(removed)
    left: list[Run] = []
    for first, count in runs:
        place = bisect_right(gone, first, key=sum)
        reached, end = first, first + count
        while place < len(gone) and gone[place][0] < end:
            if gone[place][0] > reached:
                left.append((reached, gone[place][0] - reached))
            reached = sum(gone[place])
            place += 1
        if reached < end:
            left.append((reached, end - reached))
    return left


def covers(runs: Iterable[Run], first: int, count: int) -> bool:
    """Whether runs hold each of `count` numbers from `first` on exactly once, and no other."""
    reached = first
    for start, length in sorted(run for run in runs if run[1]):
        if start != reached:
            return False
        reached += length
    return reached == first + count
