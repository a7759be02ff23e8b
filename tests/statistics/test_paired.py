from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from replication_bench.errors import DataError
from replication_bench.statistics import flips, paired
from replication_bench.statistics.clusters import clusters

mean = np.mean
R = partial(np.percentile, q=95)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_difference_that_pairs_share_is_found_where_separate_samples_hide_it() -> None:
    a = rng().random(100)
    found = paired(a, a - 0.02, mean, rng(), resamples=300)
    assert found.difference == pytest.approx(-0.02)
    assert (found.low, found.high) == pytest.approx((-0.02, -0.02))
    assert found.p < 0.01


def test_equal_methods_have_no_difference_and_p_one() -> None:
    a = rng().random(50)
    found = paired(a, a, R, rng(), resamples=100)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_few_pairs_try_every_swap() -> None:
    a, b = np.array([1.0, 2, 3]), np.array([2.0, 3, 4])
    # of 8 swaps only 'none' and 'all' differ by as much as was found
    assert paired(a, b, mean, rng(), resamples=10).p == pytest.approx(2 / 8)


def test_p_values_are_uniform_where_nothing_differs() -> None:
    draw = rng()
    found = [paired(draw.random(30), draw.random(30), mean, draw, resamples=200).p for _ in range(100)]
    assert np.mean(np.array(found) < 0.1) < 0.22
    assert 0.35 < np.mean(found) < 0.65


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    draw = rng()
    hits = 0
    for _ in range(100):
        noise = draw.standard_normal(60)
        found = paired(
            noise, noise + 0.3 + 0.5 * draw.standard_normal(60), mean, draw, resamples=200, confidence=0.9
        )
        hits += found.low <= 0.3 <= found.high
    assert 80 <= hits <= 98


PROMPTS = np.repeat(np.arange(20), 4)


def same_within_prompts(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two methods that do not differ on average, though every prompt has a difference of its own: 4 images each."""
    a = draw.standard_normal(80)
    return a, a + np.repeat(draw.standard_normal(20), 4) + 0.1 * draw.standard_normal(80)


def test_images_of_one_prompt_are_no_independent_evidence() -> None:
    draw = rng()
    sets = [same_within_prompts(draw) for _ in range(60)]
    for numbers, least, most in ((PROMPTS, 0.85, 1.0), (None, 0.3, 0.75)):
        found = [paired(a, b, mean, draw, numbers=numbers, resamples=200) for a, b in sets]
        assert least <= np.mean([f.low <= 0 <= f.high for f in found]) <= most
        assert least <= np.mean([f.p > 0.05 for f in found]) <= most
    assert (found[0].n, found[0].prompts) == (80, 80)
    assert paired(*sets[0], mean, draw, numbers=PROMPTS, resamples=10).prompts == 20


def test_flips_of_one_prompt_count_as_one_swap() -> None:
    a, b = np.ones(80), np.where(PROMPTS < 3, 0.0, 1.0)
    assert flips(a, b, 0.5).p == pytest.approx(2 / 2**12)
    assert flips(a, b, 0.5, PROMPTS).p == pytest.approx(2 / 2**3)
    assert flips(a, a, 0.5, PROMPTS).p == 1
    many = flips(a, np.zeros(80), 0.5, PROMPTS)
    assert many.p == pytest.approx(1 / 10_001)


def test_rows_without_a_prompt_are_alone_and_prompts_are_shared_between_sets() -> None:
    first, second = clusters(["a", "", "b", ""], ["b", "a", ""])
    assert first.tolist() == [0, 1, 2, 3]
    assert second.tolist() == [2, 0, 4]


def test_flips_are_counted_in_both_directions_and_strictly() -> None:
    a, b = np.array([0.9, 0.9, 0.1, 0.5, 0.8]), np.array([0.2, 0.9, 0.7, 0.5, 0.1])
    found = flips(a, b, 0.5)
    assert (found.to_original, found.to_copy, found.both, found.neither) == (2, 1, 1, 1)
    assert found.p == 1
    assert flips(np.ones(10), np.zeros(10), 0.5).p == pytest.approx(2 / 2**10)
    assert flips(np.zeros(3), np.zeros(3), 0.5).p == 1


def test_unequal_rows_are_one_line() -> None:
    with pytest.raises(DataError, match="as many rows"):
        paired(np.zeros(3), np.zeros(4), mean, rng())
    with pytest.raises(DataError, match="as many rows"):
        paired(np.zeros(0), np.zeros(0), mean, rng())
