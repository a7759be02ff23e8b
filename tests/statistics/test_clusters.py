from __future__ import annotations

import numpy as np
import pytest

from replication_bench.statistics.clusters import variance_of_mean


def test_clusters_of_one_row_are_independent_rows() -> None:
    values = np.random.default_rng(0).standard_normal(20)
    want = values.var(ddof=1) / 20
    assert variance_of_mean(values) == pytest.approx(want)
    assert variance_of_mean(values, np.arange(20)[::-1] + 7) == pytest.approx(want)


def test_equal_rows_of_a_cluster_count_once() -> None:
    values = np.random.default_rng(0).standard_normal(20)
    four = variance_of_mean(np.repeat(values, 4), np.repeat(np.arange(20), 4))
    assert four == pytest.approx(variance_of_mean(values))


def test_one_cluster_tells_nothing_of_another() -> None:
    assert np.isinf(variance_of_mean(np.arange(3.0), np.zeros(3, dtype=np.int64)))
