"""Paired comparison of two methods on the same prompts and noise, from their matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ttest_1samp, wilcoxon

from replication_bench.statistics.clusters import Ints, clusters, sums

Rows = NDArray[np.float64]
Draws = tuple[Rows, Rows]
BLOCK = 64
RESAMPLES = 1000
LEAST_PROMPTS = 10


class Pair(NamedTuple):
    """Top-1 similarities of one seed, row by row of the same prompt and noise, and the prompts."""

    method: Rows
    reference: Rows
    prompts: Sequence[str]


def paired(method: pd.DataFrame, reference: pd.DataFrame) -> Pair:
    """The rows that both have, by generated id and prompt."""
    both = method.merge(reference, on=["generated", "prompt"], suffixes=("", "_reference"))
    ours, theirs = (both[name].to_numpy() for name in ("similarity", "similarity_reference"))
    return Pair(ours, theirs, both["prompt"].tolist())


def p_value(pairs: Sequence[Pair]) -> float | str:
    """The larger p of two two-sided tests, or why there is none.

    Wilcoxon's signed-rank test of the prompts' mean differences, over all seeds, asks whether these trained networks
    differ; Student's test of the seeds' mean differences, where there are two or more, whether other trainings would.
    """
    differences = [pair.method - pair.reference for pair in pairs]
    means = prompt_means(differences, clusters(*(pair.prompts for pair in pairs)))
    if len(means) < LEAST_PROMPTS:
        return f"needs {LEAST_PROMPTS} prompts that both drew with the same noise, got {len(means)}"
    return max(signed_rank(means), over_trainings([float(d.mean()) for d in differences]))


def prompt_means(differences: Sequence[Rows], numbers: Sequence[Ints]) -> Rows:
    """The mean difference of each prompt over its images in all seeds: float [prompts]."""
    if not differences:
        return np.zeros(0)
    rows, own = np.concatenate(differences), np.concatenate(numbers)
    found: Rows = sums(rows, own) / np.bincount(own)
    return found


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
    """R of the method and of the reference, mean over seeds, in each bootstrap draw: float [resamples].

    Whole prompts are drawn, the same ones for all seeds; a draw that leaves a seed without any is NaN.
    """
    numbers = clusters(*(pair.prompts for pair in pairs))
    count = 1 + max(int(one.max()) for one in numbers)
    rng = np.random.default_rng(seed)
    found = [
        percentiles_of(
            pairs, numbers, rng.multinomial(count, [1 / count] * count, min(BLOCK, resamples - start))
        )
        for start in range(0, resamples, BLOCK)
    ]
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def percentiles_of(pairs: Sequence[Pair], numbers: Sequence[Ints], times: Ints) -> Draws:
    """Mean over seeds of both sides' 95th percentiles; ``times`` int [k, prompts]: how often each was drawn."""
    both = list(zip(pairs, numbers, strict=True))
    method = [repeated_percentile(pair.method, times[:, own]) for pair, own in both]
    reference = [repeated_percentile(pair.reference, times[:, own]) for pair, own in both]
    return np.mean(method, axis=0), np.mean(reference, axis=0)


def repeated_percentile(rows: Rows, times: Ints, q: float = 0.95) -> Rows:
    """``np.percentile`` of ``rows`` [n] where each stands ``times`` [k, n] times: float [k]; NaN where none stands."""
    order = np.argsort(rows)
    last = np.cumsum(times[:, order], axis=1)  # the place behind the last copy of each row
    position = q * np.maximum(last[:, -1] - 1, 0)
    low = np.floor(position)
    high = np.minimum(low + 1, np.maximum(last[:, -1] - 1, 0))
    ordered = np.append(rows[order], np.nan)
    below, above = (ordered[(last <= place[:, None]).sum(axis=1)] for place in (low, high))
    found: Rows = below + (position - low) * (above - below)
    return found
