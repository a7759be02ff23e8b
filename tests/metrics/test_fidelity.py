from __future__ import annotations

import numpy as np
import pytest

from replication_bench.metrics.fidelity import KernelDistance, frechet_distance, frechet_of_moments, prdc


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
