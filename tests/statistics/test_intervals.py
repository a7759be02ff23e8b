from __future__ import annotations

import numpy as np
import pytest

from replication_bench.statistics import (
    normal_interval,
    percentile_interval,
    student_interval,
    wilson_interval,
)
from replication_bench.statistics.intervals import hull


def test_wilson_of_no_hits_has_an_upper_end() -> None:
    low, high = wilson_interval(0.0, 100, 0.95)
    assert low == 0.0
    assert high == pytest.approx(0.0370, abs=1e-3)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 3, 300, 350])
def test_wilson_holds_its_share(share: float, n: int) -> None:
    low, high = wilson_interval(share, n, 0.95)
    assert 0 <= low <= share <= high <= 1


def test_percentiles_are_the_middle() -> None:
    assert percentile_interval(list(range(101)), 0.9) == pytest.approx((5, 95))


def test_normal_and_student() -> None:
    assert normal_interval(1.0, 0.5, 0.95) == pytest.approx((1 - 0.97998, 1 + 0.97998), abs=1e-4)
    # t quantile 0.975 with 2 degrees of freedom is 4.3027
    half = 4.3027 * np.std([1, 2, 3], ddof=1) / np.sqrt(3)
    assert student_interval([1.0, 2.0, 3.0], 0.95) == pytest.approx((2 - half, 2 + half), abs=1e-3)
    assert student_interval([1.0], 0.95) is None


def test_hull() -> None:
    assert hull((0.1, 0.2), (0.15, 0.4)) == (0.1, 0.4)
