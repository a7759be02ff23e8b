from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from replication_bench.metrics import replication, summaries
from replication_bench.metrics.metric import Evidence
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure

EMPTY = np.zeros(0, dtype=np.float32)


def evidence(**sets: np.ndarray) -> Evidence:
    rows = np.linspace(0, 1, 101, dtype=np.float32)
    base = Evidence(
        generated=np.zeros((101, 4), np.float32),
        train=np.zeros((101, 4), np.float32),
        heldout=np.zeros((101, 4), np.float32),
        top1=rows,
        nearest=np.arange(101),
        background=rows / 2,
        floor=rows / 2,
        ceiling=np.ones(101, np.float32),
    )
    return replace(base, **sets)


def test_r_star_is_zero_at_the_floor_and_one_at_the_ceiling() -> None:
    assert replication.r_star(evidence(top1=evidence().floor)) == pytest.approx(0)
    assert replication.r_star(evidence(top1=evidence().ceiling)) == pytest.approx(1)


def test_r_star_is_missing_without_range_or_sets() -> None:
    assert "below 0.05" in str(replication.r_star(evidence(ceiling=evidence().floor)))
    assert replication.r_star(evidence(floor=EMPTY)) == "no held-out images"


def test_no_generated_images_is_a_reason_not_a_number() -> None:
    none = evidence(top1=EMPTY, generated=np.zeros((0, 4), np.float32), nearest=np.zeros(0, np.int64))
    found = {
        m.name: m for m in measure(replication.METRICS, none, seeds=Seeds(0), resamples=2, confidence=0.9)
    }
    assert all(found[name].reason for name in ("R", "r_star", "mean_above_floor", "sim_gt_calibrated"))


def test_no_hit_above_the_calibrated_threshold_has_an_upper_end() -> None:
    clean = evidence(top1=np.full(101, 0.01, np.float32))
    found = {
        m.name: m for m in measure(replication.METRICS, clean, seeds=Seeds(0), resamples=50, confidence=0.9)
    }
    assert found["sim_gt_calibrated"].value == 0
    assert (found["sim_gt_calibrated"].high or 0) > 0.02


@pytest.mark.parametrize(("n", "note"), [(99, "unstable: 9 rows above"), (100, None)])
def test_exactly_ten_rows_above_are_enough(n: int, note: str | None) -> None:
    assert summaries.unstable(lambda e: np.zeros(n, np.float32), 90, evidence()) == note


def test_threshold_is_strict() -> None:
    assert summaries.share_above(np.array([0.5, 0.6], np.float32), 0.5) == 0.5


def test_reductions() -> None:
    assert replication.reduction(0.3, 0.6) == pytest.approx(0.5)
    assert replication.reduction_floor(0.4, 0.6, 0.2) == pytest.approx(0.5)
    assert isinstance(replication.reduction_floor(0.4, 0.2, 0.2), str)
    assert isinstance(replication.reduction(0.4, 0.0), str)


def test_every_metric_has_a_value_or_a_reason_and_its_interval_holds_it() -> None:
    found = measure(replication.METRICS, evidence(), seeds=Seeds(0), resamples=100, confidence=0.95)
    assert len({m.name for m in found}) == len(replication.METRICS)
    for m in found:
        assert m.value is not None
        if m.low is not None and m.high is not None:
            assert m.low - 1e-6 <= m.value <= m.high + 1e-6, m.name
    empty = measure(replication.METRICS, evidence(floor=EMPTY), seeds=Seeds(0), resamples=5, confidence=0.95)
    assert {m.name for m in empty if m.value is None} >= {"r_star", "floor_mean", "floor_95pc", "threshold"}
    assert all(m.reason for m in empty if m.value is None)


def test_a_thin_tail_is_marked() -> None:
    found = measure(replication.METRICS, evidence(), seeds=Seeds(0), resamples=0, confidence=0.95)
    notes = {m.name: m.note for m in found}
    assert "unstable" in str(notes["sim_95pc"])
    assert notes["sim_75pc"] is None
