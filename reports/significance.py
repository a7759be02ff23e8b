"""Paired comparison of two methods on the same prompts and noise, from their matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ttest_1samp, wilcoxon

Rows = NDArray[np.float64]
Draws = tuple[Rows, Rows]
BLOCK = 64
RESAMPLES = 1000
LEAST_PAIRS = 10


class Pair(NamedTuple):
    """Top-1 similarities of one seed, row by row of the same prompt and noise."""

    method: Rows
    reference: Rows


def paired(method: pd.DataFrame, reference: pd.DataFrame) -> Pair:
    """The rows that both have, by generated id and prompt."""
    both = method.merge(reference, on=["generated", "prompt"], suffixes=("", "_reference"))
    return Pair(both["similarity"].to_numpy(), both["similarity_reference"].to_numpy())


def p_value(pairs: Sequence[Pair]) -> float | str:
    """The larger p of two two-sided tests, or why there is none.

    Wilcoxon's signed-rank test over the pairs of all seeds asks whether these trained networks differ; Student's test
    of the seeds' mean differences, where there are two seeds or more, whether other trainings would.
    """
    differences = [pair.method - pair.reference for pair in pairs]
    count = sum(map(len, differences))
    if count < LEAST_PAIRS:
        return f"needs {LEAST_PAIRS} pairs of the same prompt and noise, got {count}"
    return max(
        signed_rank(np.concatenate(differences)), over_trainings([float(d.mean()) for d in differences])
    )


def signed_rank(difference: Rows) -> float:
    """Wilcoxon's test; 1 where nothing differs."""
    return float(wilcoxon(difference, zero_method="zsplit").pvalue) if difference.any() else 1.0


def over_trainings(means: Sequence[float]) -> float:
    """Student's one-sample test of the seeds' mean differences; 0, so that it decides nothing, for one seed."""
    if len(means) < 2:
        return 0.0
    if min(means) == max(means):
        return 0.0 if means[0] else 1.0
    return float(ttest_1samp(means, 0.0).pvalue)


def holm(values: dict[str, float]) -> dict[str, float]:
    """P values corrected for their number (Holm 1979)."""
    corrected: dict[str, float] = {}
    least = 0.0
    for rank, name in enumerate(sorted(values, key=lambda key: values[key])):
        least = max(least, min(1.0, (len(values) - rank) * values[name]))
        corrected[name] = least
    return corrected


def resampled_r(pairs: Sequence[Pair], resamples: int = RESAMPLES, seed: int = 0) -> Draws:
    """R of the method and of the reference, mean over seeds, in each bootstrap draw of pairs: float [resamples]."""
    parts = [
        resampled_percentiles(pair, resamples, np.random.default_rng([seed, i]))
        for i, pair in enumerate(pairs)
    ]
    return np.mean([a for a, _ in parts], axis=0), np.mean([b for _, b in parts], axis=0)


def resampled_percentiles(pair: Pair, resamples: int, rng: np.random.Generator) -> Draws:
    """The 95th percentiles of both sides in each draw; pairs stay together."""
    n = len(pair.method)
    found = []
    for start in range(0, resamples, BLOCK):
        rows = rng.integers(n, size=(min(BLOCK, resamples - start), n))
        found.append((fast_percentile(pair.method[rows]), fast_percentile(pair.reference[rows])))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def fast_percentile(rows: Rows, q: float = 0.95) -> Rows:
    """``np.percentile`` along the last axis by partition; rows [k, n] -> [k]."""
    n = rows.shape[1]
    position = q * (n - 1)
    low = int(position)
    rows.partition((low, min(low + 1, n - 1)), axis=1)
    below, above = rows[:, low], rows[:, min(low + 1, n - 1)]
    found: Rows = below + (position - low) * (above - below)
    return found
