"""How good and how varied single images are: precision, recall, density, coverage, Vendi."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import (
    Evidence,
    Ints,
    Metric,
    Rows,
    Value,
    count_generated,
    described,
    joined,
)
from replication_bench.metrics.neighbours import Balls, balls, squared_radii
from replication_bench.metrics.sampled import LARGEST, count_few, few, sample_note
from replication_bench.statistics.clusters import variance_of_mean
from replication_bench.statistics.intervals import normal_interval, percentile_interval

PRDC = "arXiv 2002.09797; clovaai/generative-evaluation-prdc, prdc/prdc.py"
VENDI = "arXiv 2210.02410, definition 3.1; vertaix/Vendi-Score"


class Vendi(NamedTuple):
    """The score and its standard error; infinite where all rows are of one group."""

    value: float
    error: float


def too_few(evidence: Evidence) -> str | None:
    """Why there are no neighbours, or None."""
    n, k = min(len(evidence.train), len(evidence.generated)), evidence.neighbours
    few = f"needs more than {k} images on each side, got {n}" if n <= k else None
    return evidence.features_lost or few


def train_radii(evidence: Evidence) -> dict[int, NDArray[np.float64]]:
    """Squared distance of each training row to its nearest other one, and to its k-th, in one pass: by k."""
    rows = few(evidence, "train")
    ks = sorted({k for k in (1, evidence.neighbours) if k < len(rows)})
    return evidence.once("radii", lambda: dict(zip(ks, squared_radii(rows, *ks), strict=True)) if ks else {})


def balls_of(evidence: Evidence) -> Balls:
    """Which rows lie in whose ball, computed once for the four metrics."""
    train, generated, k = few(evidence, "train"), evidence.rows("generated"), evidence.neighbours
    return evidence.once("balls", lambda: balls(train, generated, k, train_radii(evidence).get(k)))


def ball_value(name: str, evidence: Evidence) -> Value:
    """One of the four numbers."""
    return too_few(evidence) or balls_of(evidence).values()[name]


def density_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float]:
    """Bootstrap over the generated images, the training images fixed."""
    found = balls_of(evidence)
    draws = np.array([found.balls[evidence.draw(rng)].mean() for _ in range(resamples)])
    return percentile_interval(draws / found.k, confidence)


def ball_metric(name: str, unit: str, n: Callable[[Evidence], int]) -> Metric:
    """One of the four numbers with its interval, the other set's balls fixed."""
    kind: Literal["own", "wilson"] = "own" if name == "density" else "wilson"
    return Metric(
        name,
        unit,
        "up",
        partial(ball_value, name),
        PRDC,
        n,
        interval=kind,
        own_interval=density_interval if name == "density" else None,
        each=(lambda e: balls_of(e).precise) if name == "precision" else None,
        redrawn=False,
        note=sample_note(),
        everywhere=True,
    )


def vendi_of_kernel(kernel: Rows) -> float:
    """exp of the entropy of the eigenvalues of K / n, for a similarity [n, n] with ones on its diagonal."""
    values = np.linalg.eigvalsh(kernel.astype(np.float64) / len(kernel))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))


def vendi_of_rows(rows: Rows, groups: Ints | None = None) -> Vendi:
    """The Vendi score of unit rows [n, d] under the cosine, with its standard error by the delta method.

    The d x d matrix of moments has the eigenvalues of K / n. Each row's influence on the entropy is
    -x^T log(M) x - H, so the error needs no bootstrap: a row drawn twice would count as no new image and bias it.
    Influences of rows that belong together (``groups``, [n]) are summed.
    """
    rows = rows.astype(np.float64)
    _, singular, vectors = np.linalg.svd(rows / np.sqrt(len(rows)), full_matrices=False)
    # eigenvalues at the level of rounding: K / n has trace 1
    kept = singular**2 > 1e-14
    values, vectors = singular[kept] ** 2, vectors[kept]
    each = ((rows @ vectors.T) ** 2) @ -np.log(values)
    value = float(np.exp(each.mean()))
    return Vendi(value, value * float(np.sqrt(variance_of_mean(each, groups))))


def vendi_found(evidence: Evidence) -> Vendi | str:
    """The score of the generated images, computed once."""
    if not 2 <= len(evidence.generated) <= LARGEST:
        return f"needs 2 to {LARGEST:,} images, got {len(evidence.generated)}"
    return evidence.once("vendi", lambda: vendi_of_rows(evidence.generated, evidence.groups))


def vendi_value(evidence: Evidence) -> Value:
    """The score, or why there is none."""
    found = vendi_found(evidence)
    return found if isinstance(found, str) else found.value


def vendi_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """The delta method's interval, within 1 and n."""
    found = vendi_found(evidence)
    if isinstance(found, str) or not np.isfinite(found.error):
        return None
    low, high = normal_interval(found.value, found.error, confidence)
    return max(1.0, low), min(float(len(evidence.generated)), high)


BALLS = "r_k(x) = distance of x to its k-th neighbour in its own set, itself left out; d < r, strict; k = 5"
BLIND = "It does not see copying: with 14 % planted copies it looks healthy. "
FIXED = "The interval takes the other set as fixed."

METRICS: tuple[Metric, ...] = joined(
    (
        described(
            ball_metric("precision", "share", count_generated),
            about="Share of generated images that lie within the neighbourhood of some training image: are they "
            "realistic?",
            formula=f"share of g with some t: d(t, g) < r_k(t); {BALLS}",
            span="0 to 1",
            trap=BLIND + FIXED,
        ),
        described(
            ball_metric("recall", "share", count_few),
            about="Share of training images that lie within the neighbourhood of some generated image: is all of the "
            "data reached?",
            formula=f"share of t with some g: d(t, g) < r_k(g); {BALLS}",
            span="0 to 1",
            trap=BLIND + "It grows with the number of generated images: compare equal numbers only. " + FIXED,
        ),
        described(
            ball_metric("density", "ratio", count_generated),
            about="In how many neighbourhoods of training images a generated image lies, in units of k: precision that "
            "one outlier among the training images cannot raise.",
            formula=f"1 / (k |G|) sum over g of #{{t: d(t, g) < r_k(t)}}; {BALLS}",
            span="0 and up; about 1 for a perfect sampler, may exceed it",
            trap=BLIND + FIXED,
        ),
        described(
            ball_metric("coverage", "share", count_few),
            about="Share of training images with a generated image in their neighbourhood: recall that outliers among "
            "the generated images cannot raise.",
            formula=f"share of t with min over g of d(t, g) < r_k(t); {BALLS}",
            span="0 to 1",
            trap=BLIND + "It grows with the number of generated images. " + FIXED,
        ),
        described(
            Metric(
                "vendi",
                "images",
                "up",
                vendi_value,
                VENDI,
                count_generated,
                interval="own",
                own_interval=vendi_interval,
                everywhere=True,
            ),
            about="How many entirely different images the generated ones are worth.",
            formula="exp(-sum of lambda log lambda), lambda = eigenvalues of K / n, K = cosines of the unit vectors",
            span="1 (all alike) to n",
            trap="It knows no real images: noise is very diverse. It grows with n, and depends on the embedder.",
        ),
    )
)
