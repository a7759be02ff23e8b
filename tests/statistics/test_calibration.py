from __future__ import annotations

import numpy as np
import pytest

from replication_bench.statistics import Calibration, FalsePositives, calibrate, false_positives


def test_calibration_leaves_exactly_ten_rows_above() -> None:
    floor = np.random.default_rng(0).random(128).astype(np.float32)
    found = calibrate(floor)
    assert isinstance(found, Calibration)
    assert (floor > found.threshold).sum() == 10
    assert found.quantile == pytest.approx(118 / 128)
    assert isinstance(calibrate(floor[:19]), str)


def test_calibration_counts_strictly_above_ties() -> None:
    floor = np.array([0.1] * 30 + [0.2] * 5 + [0.3] * 6, np.float32)
    assert calibrate(floor) == (pytest.approx(0.1), pytest.approx(30 / 41))
    assert "too equal" in str(calibrate(np.full(50, 0.3, np.float32)))


def test_the_false_positive_rate_is_that_of_images_that_did_not_set_the_threshold() -> None:
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(40):
        found = false_positives(rng.random(200).astype(np.float32))
        assert isinstance(found, FalsePositives)
        assert found.low <= found.rate <= found.high
        assert found.n == 200
        rates.append(found.rate)
    # images tested against the threshold that they set would give 5 % every time
    assert np.std(rates) > 0.005
    # 10 of 200 lie above; a threshold set by 100 lets a little more than 5 % of others through
    assert np.mean(rates) == pytest.approx(0.055, abs=0.01)


def test_it_does_not_depend_on_the_order_more_than_by_chance_and_repeats() -> None:
    floor = np.random.default_rng(1).random(300).astype(np.float32)
    assert false_positives(floor) == false_positives(floor)
    assert isinstance(false_positives(floor[:5]), str)
    assert "too equal" in str(false_positives(np.array([0.0] + [0.5] * 60, np.float32)))
