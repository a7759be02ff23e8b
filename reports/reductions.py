"""How much less a method copies than another, with an interval, and what that says about a claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from replication_bench.metrics.replication import reduction, reduction_floor
from replication_bench.statistics import percentile_interval
from reports.boards import Board, Group
from reports.facts import machine_of
from reports.grouping import setting_text
from reports.sides import side_of
from reports.significance import Draws, Pair, p_value, paired, resampled_r
from reports.values import NOT_MEASURED, Value, missing, of_measurement, over_seeds, spread

ONE_TRAINING = "one seed each: it tells these networks apart, not trainings"
ONE_SEED = "one seed each: the interval leaves out how much trainings differ"
LOST = "no interval: the matches of a run are missing"
NO_P = "a seed has no matches of the same prompts and noise on both sides"
MOST_TOLD = 3  # settings in one note
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
    """The reference of the group's own budget, its other settings and its device, or else what comes closest."""
    device = machine_of(group.results[0])

    def distance(other: Group) -> tuple[bool, int, bool, int]:
        elsewhere = machine_of(other.results[0]) != device
        return other.budget != group.budget, len(unlike_settings(other, group)), elsewhere, other.budget or 0

    return min(board.groups_of(reference), key=distance, default=None)


def unlike_settings(one: Group, other: Group) -> list[str]:
    """The settings, budget and a method's own apart, in which two groups differ, such as the learning rate."""
    both = one.setting | other.setting
    shared = [key for key in both if not key.startswith("method") and key != "budget"]
    return [key for key in shared if one.setting.get(key) != other.setting.get(key)]


def unlike(group: Group, other: Group) -> str:
    """In what two groups differ beside the method, as a note; empty where that is nothing, or where one is an audit."""
    if not (group.results[0].method and other.results[0].method):
        return ""
    found = unlike_settings(group, other)
    told = [f"{key.rpartition('.')[2]} {setting_text(other.setting.get(key))}" for key in found[:MOST_TOLD]]
    if other.budget is not None and other.budget != group.budget:
        told.insert(0, f"budget {other.budget:,}")
    if len(found) > MOST_TOLD:
        told.append(f"{len(found) - MOST_TOLD} more settings")
    return f"against {other.label} of {', '.join(told)}, unlike its own" if told else ""


def best_data_side(groups: Sequence[Group]) -> Group | None:
    """The group of lowest R among the methods that change only the training data."""
    found = [g for g in groups if side_of(g.method) == "data" and g.value("R").value is not None]
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
        by_seed(group, "R", seeds),
        by_seed(other, "R", seeds),
        by_seed(group, "floor_95pc", seeds),
    )
    if isinstance(r, str) or isinstance(base, str):
        return no_comparison(f"R is missing: {r if isinstance(r, str) else base}")
    pairs = [paired(group.top1[s], other.top1[s]) for s in seeds if s in group.top1 and s in other.top1]
    pairs = [pair for pair in pairs if len(pair.method)]
    draws = resampled_r(pairs) if len(pairs) == len(seeds) else None
    plain = with_interval(reduction, r, base, draws, 0.0, confidence)
    above = (
        missing(f"the floor is missing: {floor}")
        if isinstance(floor, str)
        else above_floor(r, base, fmean(floor), draws, confidence)
    )
    values = [plain, above, difference_p(pairs, len(seeds))]
    for note in (shared_seeds(group, other, seeds), unlike(group, other)):
        values = [noted(value, note) for value in values]
    return Comparison(other.label, values[0], values[1], values[2], rows_in(pairs))


def difference_p(pairs: Sequence[Pair], seeds: int) -> Value:
    """The p of a difference over so many seeds; missing where a seed has lost its pairs.

    One seed of two would be tested as if it had been alone, without the test over trainings.
    """
    p = p_value(pairs)
    if isinstance(p, str):
        return missing(p)
    if len(pairs) < seeds:
        return missing(NO_P)
    return Value(p, n=rows_in(pairs), note=ONE_TRAINING if seeds == 1 else None)


def rows_in(pairs: Sequence[Pair]) -> int:
    """Rows of the same prompt and noise, all seeds together."""
    return sum(len(pair.method) for pair in pairs)


def shared_seeds(group: Group, other: Group, seeds: Sequence[int]) -> str:
    """Which seeds a comparison rests on, where that is not all of either side."""
    if set(seeds) == set(group.seeds) == set(other.seeds):
        return ""
    some = (
        f"seeds {', '.join(map(str, seeds))} alone, the ones"
        if len(seeds) > 1
        else f"seed {seeds[0]} alone, the one"
    )
    return f"over {some} in common with '{other.label}'"


def noted(value: Value, note: str) -> Value:
    """The value with one more note."""
    return value._replace(note="; ".join(filter(None, (value.note, note))) or None)


def by_seed(group: Group, name: str, seeds: Sequence[int]) -> list[float] | str:
    """A measurement in each of these seeds, or why one of them has none."""
    found = [of_measurement(r.measurement(name)) for r in group.results if r.seed in seeds]
    values = [value.value for value in found if value.value is not None]
    return values if len(values) == len(found) else over_seeds(found).reason or NOT_MEASURED


def above_floor(
    r: Sequence[float], base: Sequence[float], floor: float, draws: Draws | None, confidence: float
) -> Value:
    """The reduction with the floor taken from both sides."""
    return with_interval(lambda a, b: reduction_floor(a, b, floor), r, base, draws, floor, confidence)


def with_interval(
    reduce: Callable[[float, float], float | str],
    r: Sequence[float],
    base: Sequence[float],
    draws: Draws | None,
    floor: float,
    confidence: float,
) -> Value:
    """A reduction of the means over seeds, with the wider of two intervals.

    One is of a paired bootstrap, which takes the networks as they were trained; the other Student's over the seeds'
    own reductions, which asks what other trainings would give. None where a seed has lost its matches.
    """
    value = reduce(fmean(r), fmean(base))
    if isinstance(value, str):
        return missing(value)
    if draws is None:
        return Value(value, note=LOST)
    method, reference = draws[0] - floor, draws[1] - floor
    kept = reference > 0
    if not kept.mean() > LEAST_KEPT:
        return Value(value, note="no interval: the reference hardly exceeds the floor")
    low, high = percentile_interval(list(1 - method[kept] / reference[kept]), confidence)
    own = [reduce(*pair) for pair in zip(r, base, strict=True)]
    if lost := [one for one in own if isinstance(one, str)]:
        return Value(value, note=f"no interval: of one seed, {lost[0]}")
    if len(own) == 1:
        return Value(value, min(low, value), max(high, value), note=ONE_SEED)
    half = spread([float(one) for one in own], confidence)
    return Value(value, min(low, value - half), max(high, value + half))
