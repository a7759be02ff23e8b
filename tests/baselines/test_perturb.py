"""Counts and distributions of the text perturbations, against their closed forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chisquare

from baselines.text import perturb

POOL = tuple(f"w{i}" for i in range(10))
TEXT = "one two three"
DRAWS = 6000
SIGNIFICANT = 1e-3

PERTURBATIONS: dict[str, Callable[[str, int, np.random.Generator], str]] = {
    "repeat": perturb.repeat_words,
    "numbers": perturb.add_numbers,
    "words": lambda text, n, rng: perturb.add_words(text, n, rng, POOL),
}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def subsequence(words: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in words)


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("n", [1, 2, 4])
def test_n_words_are_inserted_and_the_text_keeps_its_order(name: str, n: int) -> None:
    for seed in range(50):
        words = PERTURBATIONS[name](TEXT, n, rng(seed)).split(" ")
        assert len(words) == 3 + n
        assert subsequence(TEXT.split(), words)


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_equal_generators_give_equal_texts_and_others_do_not(name: str) -> None:
    texts = [PERTURBATIONS[name](TEXT, 4, rng(seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_an_inserted_word_falls_uniformly_into_every_gap_both_ends_included() -> None:
    source = rng()
    places = Counter(perturb.insert(TEXT, ["x"], source).split().index("x") for _ in range(DRAWS))
    assert set(places) == {0, 1, 2, 3}
    assert chisquare(list(places.values())).pvalue > SIGNIFICANT


def test_the_second_word_may_fall_on_either_side_of_the_first() -> None:
    source = rng()
    seen = Counter(perturb.insert("a", ["x", "y"], source) for _ in range(DRAWS))
    assert len(seen) == 6
    assert chisquare(list(seen.values())).pvalue > SIGNIFICANT


def test_repeated_words_are_drawn_uniformly_from_the_original_words() -> None:
    source = rng()
    counts: Counter[str] = Counter()
    for _ in range(DRAWS):
        counts.update(perturb.repeat_words(TEXT, 2, source).split())
    extra = [counts[word] - DRAWS for word in TEXT.split()]
    assert sum(extra) == 2 * DRAWS
    assert chisquare(extra).pvalue > SIGNIFICANT


def test_a_word_can_be_repeated_twice_in_one_text() -> None:
    source = rng()
    most = [max(Counter(perturb.repeat_words(TEXT, 2, source).split()).values()) for _ in range(DRAWS)]
    assert abs(np.mean(np.array(most) == 3) - 1 / 3) < 4 * np.sqrt(2 / 9 / DRAWS)


def test_random_words_are_drawn_uniformly_from_the_pool() -> None:
    source = rng()
    drawn = Counter(perturb.replace_text("", 1, source, POOL) for _ in range(DRAWS))
    assert set(drawn) == set(POOL)
    assert chisquare(list(drawn.values())).pvalue > SIGNIFICANT


def test_replaced_text_has_n_words_of_the_pool_and_none_of_its_own() -> None:
    words = perturb.replace_text(TEXT, 4, rng(), POOL).split()
    assert len(words) == 4
    assert set(words) <= set(POOL)


def test_random_numbers_are_uniform_below_a_hundred_thousand() -> None:
    source = rng()
    numbers = [int(perturb.add_numbers("", 1, source)) for _ in range(DRAWS)]
    assert 0 <= min(numbers) < 1000
    assert 99_000 <= max(numbers) < 100_000
    assert chisquare(np.histogram(numbers, bins=10, range=(0, 100_000))[0]).pvalue > SIGNIFICANT


def test_an_empty_text_has_nothing_to_repeat_and_takes_insertions() -> None:
    assert perturb.repeat_words("", 2, rng()) == ""
    assert len(PERTURBATIONS["words"]("", 2, rng()).split()) == 2
