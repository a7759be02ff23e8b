from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.significance import Pair, holm, p_value, paired, repeated_percentile, resampled_r


def pair(method: np.ndarray, reference: np.ndarray, images: int = 1) -> Pair:
    """``images`` neighbouring rows share a prompt."""
    return Pair(method, reference, [f"prompt {i // images}" for i in range(len(method))])


def rows(values: list[float], prompts: str = "abc") -> pd.DataFrame:
    return pd.DataFrame({"generated": ["0", "1", "2"], "prompt": list(prompts), "similarity": values})


def test_pairs_are_of_the_same_id_and_prompt() -> None:
    found = paired(rows([0.1, 0.2, 0.3]), rows([0.4, 0.5, 0.6], "abX").iloc[::-1])
    assert found.method.tolist() == [0.1, 0.2]
    assert found.reference.tolist() == [0.4, 0.5]


def test_a_constant_shift_that_intervals_of_either_side_would_hide_is_found() -> None:
    base = np.random.default_rng(0).uniform(0, 1, 200)
    shift = pair(base - 0.01, base)
    same = pair(np.random.default_rng(1).permutation(base), base)
    assert p_value([shift]) < 1e-6
    assert p_value([same]) > 0.01


def test_trainings_that_disagree_outweigh_pairs_that_do_not() -> None:
    base = np.random.default_rng(0).uniform(0, 1, 200)
    agreed = [pair(base - 0.1, base), pair(base - 0.11, base), pair(base - 0.09, base)]
    apart = [pair(base - 0.1, base), pair(base - 0.3, base), pair(base + 0.02, base)]
    assert p_value(agreed) == pytest.approx(
        0.00331, abs=1e-5
    )  # t = 0.1 / (0.01 / sqrt 3), two degrees of freedom
    assert p_value(apart) > 0.3


def test_equal_sets_do_not_differ() -> None:
    base = np.linspace(0, 1, 50)
    assert p_value([pair(base, base)]) == 1


def test_few_pairs_have_a_reason_and_no_p() -> None:
    assert p_value([]) == "needs 10 prompts that both drew with the same noise, got 0"


def test_holm_multiplies_the_smallest_by_their_number_and_stays_in_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_the_repeated_percentile_is_numpys_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    values, times = rng.normal(size=37), rng.integers(0, 4, size=(5, 37))
    wanted = [np.percentile(np.repeat(values, row), 95) for row in times]
    assert repeated_percentile(values, times) == pytest.approx(wanted)
    assert np.isnan(repeated_percentile(values, np.zeros((1, 37), int))[0])


def test_images_of_one_prompt_are_no_independent_evidence() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.8, 200)
    moved = base + np.repeat(rng.normal(0, 0.05, 50), 4)
    spread = {images: np.subtract(*resampled_r([pair(moved, base, images)])).std() for images in (1, 4)}
    assert spread[4] > 1.2 * spread[1]
    effects = rng.normal(0, 0.05, 50)
    shifted = base - np.repeat(effects - effects.mean() + 0.012, 4)
    assert p_value([pair(shifted, base, 1)]) < 0.03
    assert p_value([pair(shifted, base, 4)]) > 0.1


def test_the_same_prompts_are_drawn_for_all_seeds() -> None:
    base = np.random.default_rng(0).uniform(0.2, 0.8, 100)
    one, two = pair(base, base), pair(base, base)
    assert resampled_r([one, two])[0].std() == pytest.approx(resampled_r([one])[0].std())


def test_a_draw_keeps_pairs_together() -> None:
    base = np.random.default_rng(0).uniform(0.2, 0.8, 100)
    method, reference = resampled_r([pair(base / 2, base)], resamples=70)
    assert method == pytest.approx(reference / 2)
    assert len(method) == 70
    assert reference.std() > 0
