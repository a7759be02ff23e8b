from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from replication_bench.errors import DataError
from replication_bench.metrics.fidelity import (
    METRICS,
    KernelDistance,
    authpct,
    frechet_distance,
    frechet_of_moments,
    prdc,
)
from replication_bench.metrics.metric import Evidence
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure


def test_frechet_closed_form() -> None:
    d = 2048
    assert frechet_of_moments(np.zeros(d), np.eye(d), np.ones(d), np.eye(d)) == pytest.approx(d, abs=1e-6)


def test_frechet_is_never_nan_on_singular_covariances() -> None:
    rng = np.random.RandomState(1)
    assert np.isfinite(frechet_distance(rng.randn(4, 4), rng.randn(4, 4)))


def test_kernel_distance_equals_the_double_sum() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((6, 3)), rng.standard_normal((5, 3))

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within_a = np.mean([k(a[i], a[j]) for i in range(6) for j in range(6) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    cross = np.mean([k(x, y) for x in a for y in b])
    assert KernelDistance(a, b).value() == pytest.approx(within_a + within_b - 2 * cross)


def test_kernel_distance_grows_with_a_shift() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 8)), rng.standard_normal((200, 8))
    values = [KernelDistance(a, b + shift).value() for shift in (0, 0.5, 1)]
    assert abs(values[0]) < values[1] < values[2]


def test_precision_and_recall_point_the_right_way() -> None:
    rng = np.random.default_rng(0)
    found = prdc(3 * rng.standard_normal((200, 16)), 0.1 * rng.standard_normal((200, 16)))
    assert found["precision"] > 0.8
    assert found["recall"] < 0.3


@pytest.mark.parametrize("d", [2, 8, 32])
def test_frechet_equals_the_matrix_root(d: int) -> None:
    rng = np.random.RandomState(2023)
    a, b = rng.randn(8 * d, d), rng.randn(8 * d, d) * 2 + 1
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.trace(sqrtm(cov_a @ cov_b)).real
    want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(want, abs=1e-5)


def brute_force(train: np.ndarray, generated: np.ndarray, k: int) -> tuple[dict[str, float], float]:
    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    # column 0 of the sorted distances is the row itself
    within, between = np.sort(apart(train, train), axis=1), apart(train, generated)
    inside = between < within[:, [k]]
    recalled = between < np.sort(apart(generated, generated), axis=1)[:, k]
    return {
        "precision": inside.any(0).mean(),
        "recall": recalled.any(1).mean(),
        "density": inside.sum() / k / len(generated),
        "coverage": (between.min(1) < within[:, k]).mean(),
    }, 100 * (within[between.argmin(0), 1] < between.min(0)).mean()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 6), block=st.integers(1, 30))
def test_neighbour_statistics_equal_brute_force_in_any_block_and_order(seed: int, k: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    train, generated = rng.standard_normal((25, 4)), rng.standard_normal((20, 4))
    want, want_authentic = brute_force(train, generated, k)
    train, generated = train[rng.permutation(25)], generated[rng.permutation(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication_bench.metrics.fidelity.BLOCK", block)
        assert prdc(train, generated, k) == pytest.approx(want)
        assert authpct(train, generated) == pytest.approx(want_authentic)


def test_too_few_rows_are_one_line() -> None:
    with pytest.raises(DataError, match="more than 5"):
        prdc(np.eye(5), np.eye(8, 5))


def measured(generated: int, train: int, heldout: int, d: int = 4) -> dict[str, Measurement]:
    rng = np.random.default_rng(0)
    none = np.zeros(0, dtype=np.float32)

    def rows(n: int) -> np.ndarray:
        return (v := rng.standard_normal((n, d)).astype(np.float32)) / np.linalg.norm(
            v, axis=1, keepdims=True
        )

    ids = np.zeros(generated, dtype=np.int64)
    evidence = Evidence(rows(generated), rows(train), rows(heldout), none, ids, none, none, none)
    found = measure(METRICS, evidence, seeds=Seeds(0), resamples=200, confidence=0.9)
    return {m.name: m for m in found}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_draw_of_one_row_alone_leaves_the_interval_finite(n: int) -> None:
    found = measured(n, n, n)["kd_train"]
    assert np.isfinite([found.low, found.high]).all()


def test_the_kernel_interval_is_wide_enough_and_holds_the_value() -> None:
    found = measured(60, 60, 60)["kd_heldout"]
    assert found.low < found.value < found.high


def test_small_sets_have_a_reason() -> None:
    found = measured(8, 9, 8)
    assert found["fd_train"].reason is not None
    assert "more than 2d = 8 images on each side, got 8" in found["fd_train"].reason
    assert measured(9, 9, 9)["fd_train"].value is not None
    assert measured(5, 9, 0)["precision"].reason == "needs more than 5 images on each side, got 5"
    assert measured(5, 9, 0)["kd_heldout"].reason is not None
    assert measured(6, 9, 0)["authpct"].value is not None
