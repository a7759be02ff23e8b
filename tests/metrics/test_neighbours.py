from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication_bench.errors import DataError
from replication_bench.metrics.neighbours import authpct, memorization_distance, prdc


def test_precision_and_recall_point_the_right_way() -> None:
    rng = np.random.default_rng(0)
    found = prdc(3 * rng.standard_normal((200, 16)), 0.1 * rng.standard_normal((200, 16)))
    assert found["precision"] > 0.8
    assert found["recall"] < 0.3


def test_torch_fidelity_agrees() -> None:
    prc = pytest.importorskip("torch_fidelity.metric_prc")
    import torch

    rng = np.random.default_rng(0)
    train, generated = rng.standard_normal((80, 4)), rng.standard_normal((60, 4)) * 0.7
    rows = torch.from_numpy(generated), torch.from_numpy(train)
    want = prc.prc_features_to_metric(
        *rows, prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False
    )
    found = prdc(train, generated, 3)
    assert found["precision"] == pytest.approx(want["precision"])
    assert found["recall"] == pytest.approx(want["recall"])


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
def test_they_equal_brute_force_in_any_block_and_order(seed: int, k: int, block: int) -> None:
    rng = np.random.default_rng(seed)
    train, generated = rng.standard_normal((25, 4)), rng.standard_normal((20, 4))
    want, want_authentic = brute_force(train, generated, k)
    train, generated = train[rng.permutation(25)], generated[rng.permutation(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replication_bench.metrics.kernels.BLOCK", block)
        assert prdc(train, generated, k) == pytest.approx(want)
        assert authpct(train, generated) == pytest.approx(want_authentic)


def test_too_few_rows_are_one_line() -> None:
    with pytest.raises(DataError, match="more than 5"):
        prdc(np.eye(5), np.eye(8, 5))


def test_copies_are_not_authentic_and_far_rows_are() -> None:
    train = np.random.default_rng(0).standard_normal((50, 4))
    assert authpct(train, train + 1e-6) == 0
    assert authpct(train, train + 100) == 100


def test_memorization_distance_takes_the_mean_over_training_rows_and_the_absolute_cosine() -> None:
    train = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert memorization_distance(train, np.array([[2.0, 0.0]])) == pytest.approx(0.5)
    assert memorization_distance(train, np.array([[-3.0, 0.0], [0.0, 1.0]])) == pytest.approx(0)


def test_memorization_distance_drops_rows_that_sum_to_zero() -> None:
    train = np.array([[1.0, 0.0], [1.0, -1.0]])
    assert memorization_distance(train, np.array([[1.0, 0.0]])) == pytest.approx(0)
    assert np.isnan(memorization_distance(train[1:], np.array([[1.0, 0.0]])))
