"""Frechet distances between Gaussians fitted to feature rows, with a standard error in closed form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import Ints, Rows
from replication_bench.statistics.clusters import variance_of_mean

Matrix = NDArray[np.float64]


class Frechet(NamedTuple):
    """A distance between a and b, its standard error, and the influence of each row.

    Attributes:
        value: the distance.
        error: None where a covariance has not full rank, and the influences are empty then; or where all rows of a are
            of one group.
        of_a: how much each row of a moves the distance, [n], before division by n.
        of_b: the same of b, [m].
        groups: which rows of a belong together, [n]; None where they are independent.
    """

    value: float
    error: float | None = None
    of_a: Matrix = np.zeros(0)
    of_b: Matrix = np.zeros(0)
    groups: Ints | None = None


def root_of(matrix: Matrix) -> Matrix:
    """The symmetric square root of a symmetric matrix; eigenvalues that rounding made negative count 0."""
    values, vectors = np.linalg.eigh(matrix)
    root: Matrix = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def frechet_of_moments(mean_a: Matrix, cov_a: Matrix, mean_b: Matrix, cov_b: Matrix) -> float:
    """||mu_A - mu_B||^2 + tr(S_A) + tr(S_B) - 2 tr((S_A S_B)^(1/2)) (arXiv 1706.08500, equation 6).

    The trace is taken over the eigenvalues of the symmetric S_A^(1/2) S_B S_A^(1/2), which are those of S_A S_B:
    a general matrix root fails on singular covariances.
    """
    root = root_of(cov_a)
    values = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = np.sqrt(np.clip(values, 0, None)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def frechet_distance(a: Rows, b: Rows) -> float:
    """Frechet distance of two Gaussians fitted to the rows; unbiased covariances, float64."""
    return frechet_of_moments(*moments(a), *moments(b))


def moments(rows: Rows) -> tuple[Matrix, Matrix]:
    """Mean [d] and unbiased covariance [d, d], float64."""
    rows = rows.astype(np.float64)
    return rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False))


def transport(cov_a: Matrix, cov_b: Matrix) -> Matrix | None:
    """The matrix that maps N(0, S_A) onto N(0, S_B) optimally; None where S_A is singular."""
    values, vectors = np.linalg.eigh(cov_a)
    if values[0] <= 1e-10 * values[-1]:
        return None
    root = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    mapped: Matrix = inverse @ root_of(root @ cov_b @ root) @ inverse
    return mapped


def influence(rows: Rows, mean: Matrix, other_mean: Matrix, mapped: Matrix) -> Matrix:
    """How much each row of one side moves the distance to first order: [n]."""
    centred = rows.astype(np.float64) - mean
    form = np.eye(len(mean)) - mapped
    moved: Matrix = 2 * centred @ (mean - other_mean) + ((centred @ form) * centred).sum(axis=1)
    return moved


def error_of(of_a: Matrix, *influences: Matrix, groups: Ints | None = None) -> float | None:
    """Standard error of a number that independent sets of rows move; those of the first may come in ``groups``."""
    variance = variance_of_mean(of_a, groups) + sum(variance_of_mean(rows) for rows in influences)
    return float(np.sqrt(variance)) if np.isfinite(variance) else None


def frechet(a: Rows, b: Rows, groups: Ints | None = None) -> Frechet:
    """Frechet distance with its standard error by the delta method.

    The derivative of the distance in S_A is I minus the optimal map from A to B. Each row then has a linear influence,
    and the error is that of a mean of influences: no matrix root per bootstrap draw, and no bias of rows drawn twice.

    Args:
        a: features [n, d].
        b: features [m, d].
        groups: which rows of a belong together, such as images of one prompt, [n]: their influences are summed.
    """
    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    value = frechet_of_moments(mean_a, cov_a, mean_b, cov_b)
    if min(len(a), len(b)) <= a.shape[1]:
        return Frechet(value)
    there, back = transport(cov_a, cov_b), transport(cov_b, cov_a)
    if there is None or back is None:
        return Frechet(value)
    of_a, of_b = influence(a, mean_a, mean_b, there), influence(b, mean_b, mean_a, back)
    return Frechet(value, error_of(of_a, of_b, groups=groups), of_a, of_b, groups)


def gap_error(first: Frechet, second: Frechet) -> float | None:
    """Standard error of the difference of two distances from the same rows a; None where one has none."""
    if first.error is None or second.error is None:
        return None
    return error_of(first.of_a - second.of_a, first.of_b, second.of_b, groups=first.groups)
