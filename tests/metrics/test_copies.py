from __future__ import annotations

import numpy as np
import pytest
from made import line, measured

from replication_bench.metrics import copies
from replication_bench.metrics.copies import METRICS, copies_of


def test_copies_are_counted_by_training_image_and_strictly_above() -> None:
    evidence = line(top1=np.array([0.9, 0.8, 0.5, 0.7, 0.1], np.float32), nearest=np.array([3, 3, 1, 0, 3]))
    assert copies_of(evidence, 0.5) == {0: 1, 3: 2}
    found = measured(METRICS, evidence)
    assert found["copied_images"].value == 2
    assert found["copies_each"].value == 1.5
    assert found["copies_most"].value == 2
    assert found["distinct_copied"].value == pytest.approx(2 / 101)


def test_no_copies_are_zero_images_and_no_copies_each() -> None:
    found = measured(METRICS, line(top1=np.zeros(101, np.float32)))
    assert found["copied_images"].value == 0
    assert found["copies_most"].value == 0
    assert found["copies_each"].reason == "no training image is copied"


def test_the_top_twentieth() -> None:
    # 5 % of 101 are 5: 0.96 to 1
    assert copies.top_mean(line()) == pytest.approx(0.98)
    assert copies.top_mean(line(top1=np.array([0.2, 0.4], np.float32))) == pytest.approx(0.4)


def test_own_prompt_leaves_out_samples_without_a_source() -> None:
    own = np.array([0.9, np.nan, 0.1], np.float32)
    evidence = line(top1=np.array([0.9, 0.8, 0.3], np.float32), nearest=np.zeros(3, np.int64), own_prompt=own)
    found = measured(METRICS, evidence)
    assert found["own_prompt_mean"].value == pytest.approx(0.5)
    assert found["own_prompt_gt_05pc"].value == 0.5
    assert found["own_prompt_nearest"].value == 0.5
    assert found["own_prompt_mean"].n == 2
    none = measured(METRICS, line(own_prompt=np.full(101, np.nan, np.float32)))["own_prompt_mean"]
    assert none.reason == "no prompt is the caption of a training image"


def test_no_hit_among_few_images_leaves_room_for_some() -> None:
    floor = np.linspace(0, 1, 200, dtype=np.float32)
    found = measured(METRICS, line(floor=floor, top1=np.zeros(101, np.float32)))["excess_calibrated"]
    assert found.value == pytest.approx(-0.05)
    assert found.high > -0.05 + 0.02
    assert found.low <= -0.05


def test_an_innocent_generator_has_no_excess() -> None:
    floor = np.random.default_rng(0).random(500).astype(np.float32)
    same = measured(METRICS, line(floor=floor, top1=floor[:101]))["excess_calibrated"]
    assert same.low <= 0 <= same.high
    copied = measured(METRICS, line(floor=floor, top1=np.ones(101, np.float32)))["excess_calibrated"]
    assert copied.value == pytest.approx(0.98)
    assert copied.low > 0.5
