"""Numbers that independent public implementations gave for one made case; tolerance 1e-6."""

from __future__ import annotations

import numpy as np
import pytest

from replication_bench.metrics.fidelity import METRICS as FIDELITY
from replication_bench.metrics.fidelity import authpct, frechet_distance, prdc
from replication_bench.metrics.metric import Evidence
from replication_bench.metrics.replication import METRICS
from replication_bench.search import nearest

GOLDEN = {
    "fd_train": 1.8458295723,
    "precision": 0.9742857143,
    "recall": 0.66,
    "density": 1.7657142857,
    "coverage": 0.965,
    "authpct": 41.4285714286,
}


def golden() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    train = rng.standard_normal((400, 16))
    heldout = rng.standard_normal((300, 16))
    generated = rng.standard_normal((350, 16)) * 0.8 + 0.3
    generated[:50] = train[:50] + 0.01 * rng.standard_normal((50, 16))
    sums = train.sum(), heldout.sum(), generated.sum()
    assert np.allclose(sums, (-5.332406847483085, 58.26619590475106, 1449.590456320207))
    return train, heldout, generated


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    train, heldout, generated = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in golden())
    found = nearest(generated, train)
    return Evidence(
        generated=generated,
        train=train,
        heldout=heldout,
        top1=found.similarity[:, 0],
        nearest=found.ids[:, 0],
        background=nearest(train, train, exclude=np.arange(400)).similarity[:, 0],
        floor=nearest(heldout, train).similarity[:, 0],
        ceiling=np.ones(400, dtype=np.float32),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sim_mean", 0.71820328),
        ("sim_std", 0.12749128),
        ("sim_75pc", 0.74095745),
        ("sim_90pc", 0.99993836),
        ("sim_95pc", 0.99995995),
        ("R", 0.99995995),
        ("sim_gt_05pc", 1.0),
    ],
)
def test_replication(evidence: Evidence, name: str, value: float) -> None:
    metric = next(metric for metric in METRICS if metric.name == name)
    assert metric.fn(evidence) == pytest.approx(value, abs=1e-6)


def test_copies_are_found_at_their_own_row(evidence: Evidence) -> None:
    assert evidence.nearest[:50].tolist() == list(range(50))


@pytest.mark.parametrize("name", ["precision", "recall", "density", "coverage", "authpct", "fd_train"])
def test_metrics_of_the_raw_rows(name: str) -> None:
    train, heldout, generated = golden()
    none = np.zeros(0, dtype=np.float32)
    ids = np.zeros(len(generated), dtype=np.int64)
    metric = next(metric for metric in FIDELITY if metric.name == name)
    raw = Evidence(generated, train, heldout, none, ids, none, none, none)
    assert metric.fn(raw) == pytest.approx(GOLDEN[name], abs=1e-6)


def test_frechet_distance() -> None:
    train, _, generated = golden()
    assert frechet_distance(train, generated) == pytest.approx(1.8458295723, abs=1e-6)


def test_prdc() -> None:
    train, _, generated = golden()
    assert prdc(train, generated) == pytest.approx(
        {"precision": 0.9742857143, "recall": 0.66, "density": 1.7657142857, "coverage": 0.965}, abs=1e-6
    )


def test_authpct() -> None:
    train, _, generated = golden()
    assert authpct(train, generated) == pytest.approx(41.4285714286, abs=1e-6)
