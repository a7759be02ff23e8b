from __future__ import annotations

import numpy as np
import pytest
from made import line, measured, unit

from replication_bench.metrics import held_out_tests
from replication_bench.metrics.held_out_tests import cell_statistic, ct_score, fld
from replication_bench.metrics.memorization import METRICS
from replication_bench.metrics.metric import Features


def sets(d: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal((n, d)) for n in (300, 200, 150))


def test_the_cell_statistic_counts_pairs_in_which_the_generated_row_is_further() -> None:
    heldout, generated = np.array([1.0, 2, 3]), np.array([2.5, 0.5])
    # 2.5 exceeds two, 0.5 none: U = 2
    want = (2 - (3 * 2 / 2 - 0.5)) / np.sqrt(3 * 2 * 6 / 12)
    assert cell_statistic(heldout, generated) == pytest.approx(want)


def test_ct_points_the_right_way() -> None:
    train, heldout, generated = sets()
    assert ct_score(train, heldout, train[:150] + 0.01) < -5
    assert ct_score(train, heldout, generated * 3) > 5
    assert abs(float(ct_score(train, heldout, generated))) < 3


def test_ct_reduces_wide_features_and_is_seeded() -> None:
    rows = [np.pad(r, ((0, 0), (0, 76))) for r in sets()]
    assert ct_score(*rows) == pytest.approx(ct_score(*rows))
    assert ct_score(*rows) == pytest.approx(ct_score(*sets()), abs=1e-6)


def test_ct_has_a_reason_where_cells_are_empty() -> None:
    train, heldout, generated = sets()
    assert "holds no held-out" in str(ct_score(train, heldout[:1], generated))
    assert "more than 20" in str(ct_score(train, heldout, generated[:20]))
    assert "at least 3" in str(ct_score(train[:2], heldout, generated))


def test_the_interval_of_ct_is_its_spread_over_samples() -> None:
    drawn = np.random.default_rng(2)
    train, scores, wide = drawn.standard_normal((300, 4)), [], []
    for place in range(120):
        heldout, generated = drawn.standard_normal((200, 4)), drawn.standard_normal((150, 4)) * 0.9
        scores.append(float(ct_score(train, heldout, generated)))
        if place % 12 == 0:
            rows = {"train": unit(train), "heldout": unit(heldout), "generated": unit(generated)}
            given = Features(generated, train, heldout)
            top1 = np.zeros(150, np.float32)
            found = measured(METRICS, line(**rows, top1=top1, features=given), 200)["c_t"]
            assert found.low < found.value < found.high
            wide.append(found.high - found.low)
    assert np.mean(wide) == pytest.approx(2 * 1.96 * np.std(scores), rel=0.25)


def test_fld_prefers_the_true_source_to_copies_and_to_another_source() -> None:
    train, heldout, generated = sets()
    good, copies, off = (fld(train, heldout, rows) for rows in (generated, train[:150] + 1e-3, generated + 2))
    assert abs(good.fld) < 20
    assert off.fld > good.fld + 20
    assert copies.gap < good.gap - 20
    assert good == fld(train, heldout, generated)


def test_the_mixture_s_likelihood_is_the_sum_of_gaussians() -> None:
    points, centres, widths = (
        np.array([[0.3, -1.0]]),
        np.array([[0.0, 0.0], [1.0, 1.0]]),
        np.array([0.5, 2.0]),
    )
    each = [
        np.exp(-((points[0] - c) ** 2).sum() / (2 * w * w)) / (2 * np.pi * w * w)
        for c, w in zip(centres, widths, strict=True)
    ]
    found = held_out_tests.scores(centres, np.log(widths), points)
    assert found == pytest.approx([-100 * np.log(np.mean(each)) / 2], rel=1e-5)


def test_the_gradient_of_the_widths_is_the_loss_s_slope() -> None:
    train, _, generated = sets()
    apart, origin = held_out_tests.squared(train, generated), (train**2).sum(1)
    widths, step = np.linspace(-1, 1, 150), 1e-4 * np.eye(150)[3]
    _, slope = held_out_tests.loss_and_gradient(apart, origin, widths, 4)
    up, down = (held_out_tests.loss_and_gradient(apart, origin, widths + s, 4)[0] for s in (step, -step))
    assert slope[3] == pytest.approx((up - down) / 2e-4, rel=1e-2, abs=1e-7)


def test_both_numbers_have_an_error_over_the_scored_rows() -> None:
    found = held_out_tests.likelihood(np.array([3.0, 5]), np.array([1.0, 1]), np.array([0.0, 2]))
    assert found == pytest.approx({"fld": 3, "gap": -3, "fld_error": 1, "gap_error": np.sqrt(2)})
    names = ("train", "heldout", "generated")
    rows = dict(zip(names, sets(), strict=True))
    top = {"top1": np.zeros(150, np.float32), "floor": np.zeros(200, np.float32)}
    measures = measured(METRICS, line(**{n: unit(r) for n, r in rows.items()}, **top))
    assert measures["fld"].low < measures["fld"].value < measures["fld"].high
    assert measures["fld_gap"].low < measures["fld_gap"].value < measures["fld_gap"].high


def test_too_few_rows_have_a_reason() -> None:
    train, heldout, generated = sets()
    assert "at least 4 training" in str(fld(train[:3], heldout, generated))
    found = measured(METRICS, line(heldout=np.zeros((0, 4), np.float32)))
    assert {found[name].reason for name in ("c_t", "fld", "fld_gap")} == {"no held-out images"}


def test_authpct_has_an_interval_in_percent() -> None:
    train, _, generated = map(unit, sets())
    top = np.zeros(150, np.float32)
    found = measured(
        METRICS[:1], line(generated=generated, train=train, top1=top, nearest=np.zeros(150, np.int64))
    )
    one = found["authpct"]
    assert 1 < one.low < one.value < one.high < 100
