from __future__ import annotations

import numpy as np
import pytest

from replication_bench.statistics.calibration import (
    copy_threshold,
    innocent_limit,
    largest_rate,
    published_basis,
)


def test_few_held_out_images_leave_the_published_threshold() -> None:
    none = copy_threshold(np.zeros(0, np.float32))
    assert none.value == 0.75
    assert "not calibrated" in none.rule
    few = copy_threshold(np.linspace(0, 0.5, 98, dtype=np.float32))
    assert few.value == 0.75
    assert "98 held-out images cannot calibrate to 1 %, which needs 99" in few.rule


def test_the_published_threshold_has_a_basis_for_one_network_at_its_own_preprocessing_only() -> None:
    """SSCD's README states it for disc_mixup; every other space is named as one without basis."""
    own = "published for SSCD disc_mixup"
    for name in ("sscd", "sscd-torchscript"):
        for protocol in ("sscd-official-288", "sscd-official-320"):
            assert published_basis(name, protocol, "disc_mixup") == own
    for name, protocol, trained in (
        ("sscd", "sscd-128", "disc_mixup"),
        ("dinov2", "dinov2-224", ""),
        ("sscd-torchscript", "dcr", "disc_mixup"),
        ("sscd-torchscript", "sscd-official-288", "disc_large"),
        ("sscd-torchscript", "sscd-official-288", ""),
    ):
        assert published_basis(name, protocol, trained).endswith(f"without basis for {name}, {protocol}")
    assert copy_threshold(np.zeros(0, np.float32), hint="do this").rule == (
        "0.75 (published for SSCD disc_mixup at 288 or 320 px, without basis for this embedder), "
        "not calibrated: no held-out images; do this"
    )


def test_few_held_out_images_may_raise_it() -> None:
    alike = copy_threshold(np.linspace(0.7, 0.95, 50, dtype=np.float32))
    assert alike.value == pytest.approx(0.95)
    assert "since it is above 0.75: of innocent images at most 2.0% lie above on average" in alike.rule


def test_ninety_nine_set_it_to_their_largest_and_many_to_their_99th_percentile() -> None:
    assert copy_threshold(np.linspace(0, 0.5, 99, dtype=np.float32)).value == 0.5
    floor = np.linspace(0, 0.5, 2000, dtype=np.float32)
    found = copy_threshold(floor)
    assert (floor > found.value).sum() == 19
    assert found.rule == (
        "calibrated: of innocent images at most 1.0% lie above on average, 1.4% with 95 % confidence; "
        "2000 held-out images"
    )


def test_new_innocent_images_exceed_the_limit_at_the_stated_rate() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 150 + 1))
    limits = np.array([innocent_limit(row[:150])[0] for row in draws])
    rate = (draws[:, 150] > limits).mean()
    assert rate == pytest.approx(1 / 151, abs=0.004)


def test_the_largest_rate_is_the_rule_of_three_for_the_largest_of_n() -> None:
    assert largest_rate(300, 300) == pytest.approx(3 / 300, rel=0.01)
