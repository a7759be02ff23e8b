from __future__ import annotations

import numpy as np
import pytest
from made import line, measured

from replication_bench.metrics.complexity import METRICS
from replication_bench.metrics.metric import Complexity


def test_correlations_follow_the_matched_training_image() -> None:
    top1 = np.array([0.9, 0.5, 0.1, 0.3], np.float32)
    simple = Complexity(1 - np.arange(4) / 4, np.array([4.0, 4, 4, 4]), np.zeros(4))
    # entropies of the matched images are 1, 0.5, 0.25, 0.75
    evidence = line(top1=top1, nearest=np.array([0, 2, 3, 1]), complexity=simple)
    found = measured(METRICS, evidence, 0)
    want = np.corrcoef(top1, [1, 0.5, 0.25, 0.75])[0, 1]
    assert found["cc_ent"].value == pytest.approx(want)
    assert found["cc_mixed"].value == pytest.approx(want)
    assert found["cc_comp"].reason == "all matched images have the same value"
    assert 0 < found["cc_ent_p"].value < 1


def test_the_interval_resamples_images_with_their_matches() -> None:
    rng = np.random.default_rng(0)
    entropy = rng.random(101)
    top1 = (entropy[::-1] + 0.05 * rng.random(101)).astype(np.float32)
    complexity = Complexity(entropy, entropy, entropy)
    found = measured(METRICS, line(top1=top1, nearest=np.arange(101)[::-1], complexity=complexity))["cc_ent"]
    assert 0.9 < found.low <= found.value <= found.high <= 1


def test_copied_images_are_compared_with_all() -> None:
    jpeg, duplicates = np.array([1.0, 2, 3]), np.array([5, 1, 1])
    evidence = line(
        top1=np.array([0.9, 0.8, 0.1], np.float32),
        nearest=np.array([0, 0, 2]),
        floor=np.zeros(0, np.float32),
        complexity=Complexity(jpeg, jpeg, jpeg),
        duplicates=duplicates,
    )
    found = measured(METRICS, evidence, 0)
    assert found["copied_jpeg_ratio"].value == 0.5
    assert found["copied_repeated"].value == 1
    assert found["train_repeated"].value == pytest.approx(1 / 3)
    assert found["copied_repeated"].n == 1
    clean = measured(METRICS, line(top1=np.zeros(101, np.float32), floor=np.zeros(0, np.float32)), 0)
    assert clean["copied_repeated"].reason == "training images were not compared with each other"
