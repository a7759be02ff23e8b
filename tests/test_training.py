from __future__ import annotations

import pytest

from replication_bench.config import TrainConfig
from replication_bench.errors import ConfigError
from replication_bench.method import Method, Stage
from replication_bench.seeds import Seeds
from replication_bench.training import learning_rate, share_budget, steps

TWO = (Stage("front", 0, 300), Stage("tail", 300, 1000))


def test_the_total_budget_is_shared_by_width_and_sums_up() -> None:
    assert share_budget(TWO, TrainConfig(budget=101)) == [30, 71]
    assert share_budget(TWO, TrainConfig(budget=101, budget_rule="per_stage")) == [101, 101]


def test_every_epoch_is_a_permutation_and_any_window_is_the_same_stream() -> None:
    seeds = Seeds(3)
    whole = Method().order(7, 0, 21, seeds)
    assert sorted(whole[:7]) == sorted(whole[7:14]) == list(range(7))
    assert whole[:7] != whole[7:14]
    assert Method().order(7, 5, 16, seeds) == whole[5:16]


def test_the_clock_ends_exactly_at_the_budget() -> None:
    assert list(steps(0, 10, 4)) == [(0, 4), (4, 8), (8, 10)]
    assert list(steps(8, 10, 4)) == [(8, 10)]


def test_learning_rate_warms_up_then_stays() -> None:
    config = TrainConfig(learning_rate=1.0, warmup_images=100)
    assert [learning_rate(images, config) for images in (50, 100, 1000)] == [0.5, 1.0, 1.0]


@pytest.mark.parametrize("budget", [0, -3, "0", "-3", "nosuch"])
def test_impossible_budgets(budget: int | str) -> None:
    with pytest.raises(ConfigError):
        _ = TrainConfig(budget=budget).images
