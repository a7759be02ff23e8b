from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from replication_bench.metrics.frechet import frechet, frechet_distance, frechet_of_moments, gap_error


def test_gaussians_one_apart_in_every_coordinate() -> None:
    d = 512
    assert frechet_of_moments(np.zeros(d), np.eye(d), np.ones(d), np.eye(d)) == pytest.approx(d, abs=1e-6)


def test_gaussians_of_other_widths() -> None:
    # (sigma_a - sigma_b)^2 in every coordinate
    assert frechet_of_moments(np.zeros(3), np.eye(3), np.zeros(3), 4 * np.eye(3)) == pytest.approx(3)


def test_a_set_is_at_no_distance_from_itself_in_any_order() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 8))
    assert frechet_distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("d", [1, 2, 8, 32])
def test_it_equals_the_matrix_root(d: int) -> None:
    rng = np.random.RandomState(2023)
    a, b = rng.randn(8 * d + 2, d), rng.randn(8 * d + 2, d) * 2 + 1
    cov_a, cov_b = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (a, b))
    want = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("n", [2, 4, 16, 64])
@pytest.mark.parametrize("d", [2, 4, 64])
def test_it_is_never_nan_on_singular_covariances(n: int, d: int) -> None:
    rng = np.random.RandomState(1)
    assert np.isfinite(frechet_distance(rng.randn(n, d), rng.randn(n, d)))


def test_torch_fidelity_agrees() -> None:
    fid = pytest.importorskip("torch_fidelity.metric_fid")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((300, 16)), rng.standard_normal((300, 16)) * 1.5 + 0.2
    sides = ({"mu": rows.mean(0), "sigma": np.cov(rows, rowvar=False)} for rows in (a, b))
    want = fid.fid_statistics_to_metric(*sides, False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(want, rel=1e-6)


def test_the_standard_error_is_the_spread_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)

    def one() -> tuple[float, float]:
        a, b = rng.standard_normal((300, 4)), rng.standard_normal((400, 4)) * [1, 1, 2, 0.5] + [1, 0, 0, 0]
        found = frechet(a, b)
        assert found.error is not None
        return found.value, found.error

    values, errors = np.array([one() for _ in range(300)]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)


def test_without_full_rank_there_is_a_value_and_no_error() -> None:
    rng = np.random.default_rng(0)
    found = frechet(rng.standard_normal((5, 8)), rng.standard_normal((50, 8)))
    assert found.value > 0
    assert found.error is None
    flat = rng.standard_normal((50, 8)) * [0, 1, 1, 1, 1, 1, 1, 1]
    assert frechet(flat, rng.standard_normal((50, 8))).error is None


def test_the_error_of_a_gap_is_its_spread_though_both_distances_share_rows() -> None:
    rng = np.random.default_rng(0)

    def one() -> tuple[float, float]:
        g, p, t = (rng.standard_normal((300, 3)) * w for w in (1, 2, 1.8))
        first, second = frechet(g, p), frechet(g, t)
        error = gap_error(first, second)
        assert error is not None
        return first.value - second.value, error

    values, errors = np.array([one() for _ in range(300)]).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.15)
