"""How much less a method copies than another, with an interval, and what that says about a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from replication_bench.metrics.replication import reduction, reduction_floor
from replication_bench.statistics import percentile_interval
from reports.boards import Board, Group
from reports.sides import side_of
from reports.significance import Draws, p_value, paired, resampled_r
from reports.values import NOT_MEASURED, Value, missing, of_measurement, over_seeds

LEAST_KEPT = 0.95  # share of the draws in which the reference exceeds the floor
Verdict = Literal["supported", "not supported", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """A group against another one.

    Attributes:
        against: the label of the other group; empty where there is none.
        reduction: 1 - R / R of the other.
        above_floor: the same with the floor taken from both.
        p: of the paired test, before any correction.
        pairs: rows of the same prompt and noise that it rests on.
    """

    against: str
    reduction: Value
    above_floor: Value
    p: Value
    pairs: int = 0


def no_comparison(reason: str) -> Comparison:
    """There is nothing to compare with."""
    return Comparison("", missing(reason), missing(reason), missing(reason))


def verdict(value: Value, claim: float = 0.0) -> Verdict:
    """What the interval of a reduction says about the claim that it is at least ``claim``.

    A claim of 0 means any reduction, so that an interval from 0 down does not support it.
    """
    if value.value is None or value.low is None or value.high is None:
        return "undecided"
    if value.low > claim or (value.low == claim and claim > 0):
        return "supported"
    return "not supported" if value.high < claim or value.high == value.low == claim == 0 else "undecided"


def reference_group(board: Board, group: Group, reference: str) -> Group | None:
    """The reference of the group's own budget and of its other settings, or else what comes closest to that."""
    found = board.groups_of(reference)
    return min(
        found,
        key=lambda g: (g.budget != group.budget, unlike_settings(g, group), g.budget or 0),
        default=None,
    )


def unlike_settings(one: Group, other: Group) -> int:
    """In how many settings that are no method's own two groups differ, such as the learning rate."""
    shared = {key for key in one.setting | other.setting if not key.startswith("method")}
    return sum(one.setting.get(key) != other.setting.get(key) for key in shared)


def best_data_side(board: Board) -> Group | None:
    """The group of lowest R among the methods that change only the training data."""
    found = [g for g in board.groups if side_of(g.method) == "data" and g.value("R").value is not None]
    return min(found, key=lambda g: g.value("R").value or 0.0, default=None)


def compare(group: Group, other: Group | None, absent: str, confidence: float) -> Comparison:
    """``group`` against ``other`` over the seeds that both have; ``absent`` says why there is no other."""
    if other is None:
        return no_comparison(absent)
    if other is group:
        return no_comparison("this is what the others are compared with")
    seeds = sorted(set(group.seeds) & set(other.seeds))
    if not seeds:
        return no_comparison(f"no seed in common with {other.label}")
    r, base, floor = (
        mean_of(group, "R", seeds),
        mean_of(other, "R", seeds),
        mean_of(group, "floor_95pc", seeds),
    )
    if isinstance(r, str) or isinstance(base, str):
        return no_comparison(f"R is missing: {r if isinstance(r, str) else base}")
    pairs = [paired(group.top1[s], other.top1[s]) for s in seeds if s in group.top1 and s in other.top1]
    pairs = [pair for pair in pairs if len(pair.method)]
    draws = resampled_r(pairs) if len(pairs) == len(seeds) else None
    p, n = p_value(pairs), sum(len(pair.method) for pair in pairs)
    return Comparison(
        other.label,
        with_interval(reduction(r, base), draws, 0.0, confidence),
        missing(f"the floor is missing: {floor}")
        if isinstance(floor, str)
        else with_interval(reduction_floor(r, base, floor), draws, floor, confidence),
        missing(p) if isinstance(p, str) else Value(p, n=n),
        n,
    )


def mean_of(group: Group, name: str, seeds: list[int]) -> float | str:
    """Mean of a measurement over these seeds, or why there is none."""
    found = over_seeds([of_measurement(r.measurement(name)) for r in group.results if r.seed in seeds])
    return found.reason or NOT_MEASURED if found.value is None else found.value


def with_interval(value: float | str, draws: Draws | None, floor: float, confidence: float) -> Value:
    """A reduction with the interval of a paired bootstrap; without one where a seed has lost its matches."""
    if isinstance(value, str):
        return missing(value)
    if draws is None:
        return Value(value, note="no interval: the matches of a run are missing")
    method, reference = draws[0] - floor, draws[1] - floor
    kept = reference > 0
    if not kept.mean() > LEAST_KEPT:
        return Value(value, note="no interval: the reference hardly exceeds the floor")
    low, high = percentile_interval(list(1 - method[kept] / reference[kept]), confidence)
    return Value(value, min(low, value), max(high, value))
