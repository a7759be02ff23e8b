from __future__ import annotations

import numpy as np

from replication_bench.audit.labels import copy_threshold, label


def test_few_held_out_images_leave_the_published_threshold() -> None:
    none = copy_threshold(np.zeros(0, np.float32))
    assert none.value == 0.75
    assert "not calibrated" in none.rule
    few = copy_threshold(np.linspace(0, 0.5, 100, dtype=np.float32))
    assert few.value == 0.75
    assert "quantile 0.900 of 100" in few.rule


def test_few_held_out_images_may_raise_it() -> None:
    alike = copy_threshold(np.linspace(0.7, 0.95, 100, dtype=np.float32))
    assert 0.9 < alike.value < 0.95


def test_many_held_out_images_set_it() -> None:
    floor = np.linspace(0, 0.5, 2000, dtype=np.float32)
    found = copy_threshold(floor)
    assert found.value < 0.5
    assert (floor > found.value).sum() == 10
    assert found.rule.startswith("calibrated")


def test_a_label_is_strict() -> None:
    assert label(0.75, 0.75) == "none"
    assert label(0.7501, 0.75) == "exact"
