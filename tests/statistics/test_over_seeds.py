from __future__ import annotations

import numpy as np
import pytest
from made import line

from replication_bench.errors import DataError
from replication_bench.metrics import fidelity, replication
from replication_bench.statistics import measure_seeds


def seeds(spread: float) -> list:
    rng = np.random.default_rng(0)
    shifts = spread * np.array([-1, -0.5, 0, 0.5, 1])
    return [line(top1=(0.5 + s + 0.05 * rng.standard_normal(101)).astype(np.float32)) for s in shifts]


def found(evidence: list) -> dict:
    measured = measure_seeds(replication.METRICS, evidence, np.random.default_rng(0), resamples=100)
    return {m.name: m for m in measured}


def test_the_spread_between_seeds_widens_the_interval() -> None:
    calm, wild = found(seeds(0.0))["sim_mean"], found(seeds(0.2))["sim_mean"]
    assert calm.value == pytest.approx(wild.value, abs=1e-3)
    assert wild.high - wild.low > 4 * (calm.high - calm.low)
    assert wild.low < wild.value < wild.high
    assert wild.n == 505
    assert wild.note == "mean of 5 seeds"


def test_one_seed_gives_the_spread_of_its_images_alone() -> None:
    one = found(seeds(0.2)[:1])["sim_mean"]
    assert one.high - one.low < 0.03


def test_shares_are_never_narrower_than_wilson_s() -> None:
    none = found([line(top1=np.zeros(101, np.float32)) for _ in range(3)])["sim_gt_05pc"]
    assert none.value == 0
    assert none.high > 0.005


def test_a_metric_without_draws_gets_student_s_interval_over_seeds() -> None:
    rng = np.random.default_rng(0)
    rows = [
        line(generated=rng.standard_normal((101, 4)), train=rng.standard_normal((101, 4))) for _ in range(3)
    ]
    measured = {m.name: m for m in measure_seeds(fidelity.METRICS, rows, rng, resamples=10)}
    values = [next(m for m in fidelity.METRICS if m.name == "kd_train").fn(row) for row in rows]
    assert measured["kd_train"].value == pytest.approx(np.mean(values))
    assert measured["kd_train"].low < measured["kd_train"].value < measured["kd_train"].high
    assert "fid_train" not in measured


def test_a_seed_without_a_value_leaves_none() -> None:
    missing = found([line(), line(floor=np.zeros(0, np.float32))])["r_star"]
    assert missing.value is None
    assert missing.reason == "no held-out images"


def test_no_seeds_are_one_line() -> None:
    with pytest.raises(DataError, match="no seeds"):
        measure_seeds(replication.METRICS, [], np.random.default_rng(0))
