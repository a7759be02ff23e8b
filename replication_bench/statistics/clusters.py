"""Images of one prompt resemble each other more than images of two: they are drawn, swapped and counted together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def clusters(*sets: Sequence[str]) -> list[Ints]:
    """The number of each row's prompt, int64, one array a set; equal prompts of all sets have equal numbers.

    A row without a prompt is a cluster of its own.
    """
    known: dict[Hashable, int] = {}
    return [
        np.array(
            [known.setdefault(prompt or (n, row), len(known)) for row, prompt in enumerate(prompts)], np.int64
        )
        for n, prompts in enumerate(sets)
    ]


def variance_of_mean(values: Floats, numbers: Ints | None = None) -> float:
    """Variance of the mean of ``values`` [n]: that of independent rows, or of independent clusters.

    With one row a cluster both are the same: the sample variance over n. Infinite for a single row or cluster.

    Args:
        values: of the rows.
        numbers: the cluster of each row; None where rows are independent.
    """
    n = len(values)
    totals = values - values.mean()
    if numbers is not None:
        totals = sums(totals, np.unique(numbers, return_inverse=True)[1])
    count = len(totals)
    # one cluster says nothing of what another would have given
    return float(count / (count - 1) * (totals**2).sum() / n**2) if count > 1 else float("inf")


def sums(values: Floats, numbers: Ints) -> Floats:
    """The sum of the values of each cluster, float64 [clusters]."""
    return np.bincount(numbers, weights=values).astype(np.float64)
