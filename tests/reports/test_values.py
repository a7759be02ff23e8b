from __future__ import annotations

import math

import pytest

from reports.values import Value, missing, over_seeds


def test_one_seed_keeps_its_own_interval() -> None:
    value = Value(0.5, 0.4, 0.6, 256)
    assert over_seeds([value]) == value


def test_seeds_that_agree_are_as_sure_as_their_intervals_allow() -> None:
    found = over_seeds([Value(0.499, 0.399, 0.599), Value(0.501, 0.401, 0.601)])
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.5, 0.5 - 0.1 / math.sqrt(2), 0.5 + 0.1 / math.sqrt(2))
    )


def test_what_all_seeds_share_is_no_surer_with_more_of_them() -> None:
    found = over_seeds([Value(0.5, 0.4, 0.6)] * 3)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.4, 0.6))


def test_seeds_that_disagree_widen_the_interval() -> None:
    found = over_seeds([Value(0.2, 0.19, 0.21), Value(0.8, 0.79, 0.81)])
    assert found.low == pytest.approx(0.5 - 12.7062 * 0.3, abs=1e-3)
    third = over_seeds([Value(0.2, 0.19, 0.21), Value(0.8, 0.79, 0.81), Value(0.5, 0.49, 0.51)])
    assert third.low == pytest.approx(0.5 - 4.30265 * 0.3 / math.sqrt(3), abs=1e-4)


def test_without_own_intervals_the_spread_between_seeds_decides() -> None:
    found = over_seeds([Value(1.0), Value(3.0)])
    assert found.value == 2
    assert found.high == pytest.approx(2 + 12.7062, abs=1e-3)


def test_a_share_stays_within_its_bounds() -> None:
    found = over_seeds([Value(0.0, 0.0, 0.05), Value(0.0, 0.0, 0.05)], "share")
    assert (found.value, found.low) == (0, 0)
    assert over_seeds([Value(0.2), Value(0.9)], "cosine")[1:3] == (-1, 1)


@pytest.mark.parametrize(
    ("unit", "values", "least", "most"),
    [
        ("percent", (10.0, 90.0), 0, 100),
        ("p-value", (0.1, 0.9), 0, 1),
        ("Pearson r", (-0.5, 0.5), -1, 1),
        ("correlation", (-0.5, 0.5), -1, 1),
        ("count", (1.0, 2.0), 0, None),
    ],
)
def test_an_interval_stays_within_what_its_unit_allows(
    unit: str, values: tuple[float, float], least: float, most: float | None
) -> None:
    found = over_seeds([Value(one) for one in values], unit)
    assert found.low == least
    assert found.high == most if most is not None else found.high > 2


def test_a_seed_without_a_value_makes_the_mean_missing() -> None:
    found = over_seeds([Value(0.5), missing("no held-out images")])
    assert found.value is None
    assert found.reason == "no held-out images (1 of 2 seeds)"
