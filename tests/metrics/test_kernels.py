from __future__ import annotations

import numpy as np
import pytest

from replication_bench.metrics import kernels
from replication_bench.metrics.kernels import GAUSSIAN, KernelDistance


def sets(n: int = 6, m: int = 5, d: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), rng.standard_normal((m, d)) + 0.3


def test_kid_is_the_double_sum_without_the_diagonal() -> None:
    a, b = sets()

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 3 + 1) ** 3)

    within_a = np.mean([k(a[i], a[j]) for i in range(6) for j in range(6) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(5) for j in range(5) if i != j])
    cross = np.mean([k(x, y) for x in a for y in b])
    assert KernelDistance(a, b).value() == pytest.approx(within_a + within_b - 2 * cross)


def test_cmmd_is_the_double_sum_with_the_diagonal() -> None:
    a, b = sets()

    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.exp(-((x - y) ** 2).sum() / 200))

    means = [np.mean([k(x, y) for x in p for y in q]) for p, q in ((a, a), (b, b), (a, b))]
    found = KernelDistance(a, b, GAUSSIAN, biased=True).value()
    assert found == pytest.approx(means[0] + means[1] - 2 * means[2], abs=1e-12)


def test_the_biased_distance_of_a_set_to_itself_is_zero() -> None:
    a, _ = sets()
    assert KernelDistance(a, a[::-1], GAUSSIAN, biased=True).value() == pytest.approx(0, abs=1e-12)


def test_torch_fidelity_agrees() -> None:
    kid = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = sets(40, 40, 8)
    want = float(kid.kernel_mmd(a, b))
    assert KernelDistance(a, b).value() == pytest.approx(want, rel=1e-9)


def test_distance_grows_with_a_shift() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 8)), rng.standard_normal((200, 8))
    values = [KernelDistance(a, b + shift).value() for shift in (0, 0.5, 1)]
    assert abs(values[0]) < values[1] < values[2]


@pytest.mark.parametrize("biased", [False, True])
def test_blocks_and_order_change_nothing(biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sets(23, 17)
    kept = KernelDistance(a, b, biased=biased)
    want = kept.value(), kept.error()
    monkeypatch.setattr(kernels, "KEPT", 0)
    monkeypatch.setattr(kernels, "BLOCK", 7)
    streamed = KernelDistance(a, b, biased=biased)
    assert streamed.aa.kept is None
    assert streamed.value() == pytest.approx(want[0])
    assert streamed.error() == pytest.approx(want[1])
    assert KernelDistance(a[::-1], b[::-1], biased=biased).value() == pytest.approx(want[0])


def test_a_draw_has_no_bias_from_rows_paired_with_their_own_copy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((60, 8)), rng.standard_normal((60, 8))
    distance = KernelDistance(a, b)
    low, high = distance.interval(rng, 400, 0.95)
    assert low < distance.value() < high
    draws = np.stack([kernels.draw_weights(60, rng) for _ in range(800)])
    spread = distance.drawn(draws[:400], draws[400:])
    assert spread.mean() == pytest.approx(distance.value(), abs=4 * spread.std() / 20)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.6])
def test_the_error_in_closed_form_is_the_spread_over_samples(shift: float) -> None:
    """At 0 the sets are alike and the value is degenerate; at 0.6 the influences are all there is."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        distance = KernelDistance(rng.standard_normal((60, 6)), rng.standard_normal((40, 6)) + shift)
        found.append((distance.value(), distance.error()))
    values, errors = np.array(found).T
    assert errors.mean() == pytest.approx(values.std(), rel=0.2)


def test_a_large_matrix_has_a_closed_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sets(300, 200)
    want = KernelDistance(a, b).interval(np.random.default_rng(0), 400, 0.95)
    monkeypatch.setattr(kernels, "KEPT", 250 * 250)
    found = KernelDistance(a, b).interval(np.random.default_rng(0), 0, 0.95)
    assert found == pytest.approx(want, abs=0.25 * (want[1] - want[0]))


@pytest.mark.parametrize("n", [2, 3])
def test_a_draw_of_one_row_alone_is_drawn_again(n: int) -> None:
    rng = np.random.default_rng(0)
    assert all(np.count_nonzero(kernels.draw_weights(n, rng)) > 1 for _ in range(200))
