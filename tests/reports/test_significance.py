from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.significance import Pair, fast_percentile, holm, p_value, paired, resampled_r


def rows(values: list[float], prompts: str = "abc") -> pd.DataFrame:
    return pd.DataFrame({"generated": ["0", "1", "2"], "prompt": list(prompts), "similarity": values})


def test_pairs_are_of_the_same_id_and_prompt() -> None:
    pair = paired(rows([0.1, 0.2, 0.3]), rows([0.4, 0.5, 0.6], "abX").iloc[::-1])
    assert pair.method.tolist() == [0.1, 0.2]
    assert pair.reference.tolist() == [0.4, 0.5]


def test_a_constant_shift_that_intervals_of_either_side_would_hide_is_found() -> None:
    base = np.random.default_rng(0).uniform(0, 1, 200)
    shift = Pair(base - 0.01, base)
    same = Pair(np.random.default_rng(1).permutation(base), base)
    assert p_value([shift]) < 1e-6
    assert p_value([same]) > 0.01


def test_trainings_that_disagree_outweigh_pairs_that_do_not() -> None:
    base = np.random.default_rng(0).uniform(0, 1, 200)
    agreed = [Pair(base - 0.1, base), Pair(base - 0.11, base), Pair(base - 0.09, base)]
    apart = [Pair(base - 0.1, base), Pair(base - 0.3, base), Pair(base + 0.02, base)]
    assert p_value(agreed) == pytest.approx(
        0.00331, abs=1e-5
    )  # t = 0.1 / (0.01 / sqrt 3), two degrees of freedom
    assert p_value(apart) > 0.3


def test_equal_sets_do_not_differ() -> None:
    base = np.linspace(0, 1, 50)
    assert p_value([Pair(base, base)]) == 1


def test_few_pairs_have_a_reason_and_no_p() -> None:
    assert p_value([]) == "needs 10 pairs of the same prompt and noise, got 0"


def test_holm_multiplies_the_smallest_by_their_number_and_stays_in_order() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_the_fast_percentile_is_numpys() -> None:
    values = np.random.default_rng(0).normal(size=(5, 37))
    assert fast_percentile(values.copy()) == pytest.approx(np.percentile(values, 95, axis=1))


def test_a_draw_keeps_pairs_together() -> None:
    base = np.random.default_rng(0).uniform(0.2, 0.8, 100)
    method, reference = resampled_r([Pair(base / 2, base)], resamples=70)
    assert method == pytest.approx(reference / 2)
    assert len(method) == 70
    assert reference.std() > 0
