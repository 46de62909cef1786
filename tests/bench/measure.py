"""Measuring: contenders take turns, each gives its figures round by round, and a table says how they compare."""

import gc
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from string import ascii_lowercase
from typing import TypeVar

import msgspec
from rich.table import Table

T = TypeVar("T")


class Effort(msgspec.Struct, frozen=True, kw_only=True):
    """How much is done for a figure."""

    rounds: int
    appends: int
    events: int
    logged: int
    """So many events lie behind a snapshot."""
    questions: int
    decisions: int
    """So many commands are asked by many at once."""
    starts: int
    fleets: tuple[str, ...]
    """The fleets that are placed on, the largest last."""
    placements: int
    items: int
    nodes: int
    """So many an agent stands for."""
    ticks: int
    watched_s: float
    """How long a process is watched that does little."""
    traces: int
    """So many variations of the openb trace are run,"""
    trace_seeds: int
    """each with so many orders of its jobs,"""
    trace_jobs: int | None
    """and of each order so many jobs; all without a number."""
    storm_items: int
    """So many are done while processes are killed."""
    kills: int
    work_items: int
    """So many go from a command through the workers' hands."""
    planned_items: int
    device_counts: tuple[int, ...]
    """The sizes of fleets that questions are asked of."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one contender, a value a round."""

    name: str
    values: tuple[float, ...]
    against: str | None = None
    """The series of the same report that its ratio is taken to."""
    goal: float | None = None
    """The least that the ratio should be."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement showed."""

    title: str
    unit: str
    series: tuple[Series, ...]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A series in a few numbers: the middle and the ends of its values, and how it compares."""

    name: str
    median: float
    lowest: float
    highest: float
    against: str | None = None
    ratio: float | None = None
    """The median of the ratios of each round: what disturbs a round disturbs both sides of it."""
    goal: float | None = None


async def take_turns(contenders: Mapping[str, Callable[[], Awaitable[T]]], rounds: int) -> dict[str, list[T]]:
    """Let each contender run once a round, so that a slow minute of the machine is everybody's."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            # What the one before left behind, and what the bench itself holds, is not this one's to go through.
            gc.collect()
            gc.freeze()
            results[name].append(await run())
    return results


async def rate_per_s(count: int, work: Awaitable[object]) -> float:
    """How many a second are done by `work`, which does `count`."""
    started_s = time.perf_counter()
    await work
    return count / (time.perf_counter() - started_s)


async def repeated_s(count: int, once: Callable[[], Awaitable[float]]) -> list[float]:
    """What `once` took, `count` times, one after another."""
    return [await once() for _ in range(count)]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that is no less than `percent` of them."""
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def rows(report: Report) -> list[Row]:
    """A report's series, each in a few numbers."""
    values = {series.name: series.values for series in report.series}
    return [_row(series, values) for series in report.series]


def table(report: Report) -> Table:
    """A report to look at. Each row has a letter, by which others name what they compare with."""
    letters = {series.name: letter for series, letter in zip(report.series, ascii_lowercase, strict=False)}
    shown = Table(title=f"{report.title}, {report.unit}", title_justify="left", title_style="bold")
    shown.add_column()
    shown.add_column("what")
    for heading in ("median", "lowest", "highest", "ratio"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("goal", no_wrap=True)
    for row in rows(report):
        numbers = map(_number, (row.median, row.lowest, row.highest))
        shown.add_row(letters[row.name], row.name, *numbers, _ratio_shown(row, letters), _goal(row))
    return shown


def _row(series: Series, values: Mapping[str, Sequence[float]]) -> Row:
    return Row(
        name=series.name,
        median=statistics.median(series.values),
        lowest=min(series.values),
        highest=max(series.values),
        against=series.against,
        ratio=_ratio(series.values, values[series.against]) if series.against else None,
        goal=series.goal,
    )


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio_shown(row: Row, letters: Mapping[str, str]) -> str:
    return "" if row.ratio is None or row.against is None else f"{_number(row.ratio)} x {letters[row.against]}"


def _goal(row: Row) -> str:
    if row.goal is None or row.ratio is None:
        return ""
    return f"{row.goal} {'reached' if row.ratio >= row.goal else 'missed'}"
