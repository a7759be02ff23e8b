"""Where real images are many, metrics of every pair look at a sample of them and say so."""

from __future__ import annotations

import numpy as np
import pytest

from replication_bench.evidence import build_evidence, unit_rows
from replication_bench.metrics import all_metrics, sampled
from replication_bench.metrics.kernels import KernelDistance
from replication_bench.metrics.neighbours import authpct, prdc
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure

NAMES = ("precision", "recall", "density", "coverage", "authpct", "kd_train", "kd_heldout", "fd_train")


def rows(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, 4)))


def measured() -> dict[str, Measurement]:
    found = build_evidence(rows(30, 0), rows(80, 1), rows(40, 2))
    metrics = [metric for metric in all_metrics() if metric.name in NAMES]
    return {m.name: m for m in measure(metrics, found, seeds=Seeds(0), resamples=20, confidence=0.95)}


def test_above_the_limit_a_seeded_sample_stands_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "LARGEST", 50)
    train = rows(80, 1)[np.sort(np.random.default_rng(0).choice(80, 50, replace=False))]
    found = measured()
    for name, value in prdc(train, rows(30, 0)).items():
        assert found[name].value == pytest.approx(value)
        assert found[name].note == "on 50 of 80 training images, drawn with seed 0"
    assert (found["recall"].n, found["coverage"].n, found["precision"].n) == (50, 50, 30)
    assert found["authpct"].value == pytest.approx(authpct(train, rows(30, 0)))
    assert found["kd_train"].value == pytest.approx(1000 * KernelDistance(2 * rows(30, 0), 2 * train).value())
    assert found["kd_train"].note == "on 50 of 80 training images, drawn with seed 0"
    assert found["kd_heldout"].note is None
    assert "drawn with seed 0" not in (found["fd_train"].note or "")


def test_below_it_nothing_is_left_out() -> None:
    found = measured()
    assert all(found[name].note is None for name in NAMES if name != "fd_train")
    assert found["coverage"].n == 80
