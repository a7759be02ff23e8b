from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from made import line, measured

from replication_bench.metrics import replication
from replication_bench.metrics.metric import Evidence, Metric
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure


def metric(fn: Callable[[Evidence], float | str], **more: object) -> Metric:
    return Metric("m", "cosine", "down", fn, "here", lambda e: len(e.top1), **more)  # type: ignore[arg-type]


def test_the_watcher_is_told_of_every_step_up_to_the_total() -> None:
    seen: list[int] = []
    totals: list[int] = []

    def step(name: str, total: int) -> Callable[[int], None]:
        totals.append(total)
        return seen.append

    evidence = line(spaces={"other": line(), "open-clip": line()})
    metrics = [metric(lambda e: 1.0, everywhere=True)]
    measure(metrics, evidence, seeds=Seeds(0), resamples=7, confidence=0.9, step=step)
    assert totals == [3 * (1 + 7)]
    assert seen == sorted(seen)
    assert seen[-1] == totals[0]


def test_what_is_not_finite_is_no_number() -> None:
    assert measured((metric(lambda e: float("nan")),), line())["m"].reason == "the computation gave nan"


def test_rows_that_belong_together_are_drawn_together() -> None:
    evidence = line(
        own_prompt=np.linspace(0, 1, 101, dtype=np.float32), local=np.linspace(0, 1, 101, dtype=np.float32)
    )
    drawn = evidence.resample(np.random.default_rng(0))
    assert not np.array_equal(drawn.top1, evidence.top1)
    for rows in (drawn.own_prompt, drawn.local, drawn.nearest / 100):
        assert rows == pytest.approx(drawn.top1)
    assert drawn.memory == {}


def test_images_of_one_prompt_are_drawn_together() -> None:
    evidence = line(prompts=np.arange(101) // 10)
    drawn = evidence.resample(np.random.default_rng(0))
    whole = {tuple(np.flatnonzero(evidence.prompts == p)) for p in range(11)}
    starts, rows = 0, drawn.nearest.tolist()
    while starts < len(rows):
        group = next(g for g in whole if g[0] == rows[starts])
        assert tuple(rows[starts : starts + len(group)]) == group
        starts += len(group)


def test_a_value_and_its_interval_share_what_is_computed_once() -> None:
    calls = []

    def slow(evidence: Evidence) -> float:
        return evidence.once("slow", lambda: calls.append(1) or 0.5)

    found = measured(
        (metric(slow, interval="own", own_interval=lambda e, *rest: (slow(e), slow(e))),), line()
    )["m"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    assert len(calls) == 1


def test_every_number_is_the_same_for_another_order_of_images() -> None:
    evidence = line()
    order = np.random.default_rng(0).permutation(101)
    mixed = line(top1=evidence.top1[order], nearest=evidence.nearest[order], floor=evidence.floor[order])
    first, second = (measured(replication.METRICS, e, 0) for e in (evidence, mixed))
    assert {k: m.value for k, m in first.items()} == {k: pytest.approx(m.value) for k, m in second.items()}
