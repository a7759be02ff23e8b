"""Whether generated images crowd the training images more than held-out ones do: AuthPct, C_T, FLD.

Supporting evidence beside the copied images themselves: dgm-eval's authors warn that none of these detects
memorization reliably.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics import held_out_tests as tests
from replication_bench.metrics.coverage import train_radii
from replication_bench.metrics.metric import (
    Evidence,
    Metric,
    Value,
    count_generated,
    described,
    draw_rows,
    joined,
)
from replication_bench.metrics.neighbours import authentic as authentic_rows
from replication_bench.metrics.sampled import few, sample_note
from replication_bench.statistics.intervals import normal_interval, percentile_interval

AUTHPCT = "arXiv 2102.08921, section 3.3; layer6ai-labs/dgm-eval, metrics/authpct.py"
CT = "arXiv 2004.05675, section 4; layer6ai-labs/dgm-eval, metrics/ct.py"
FLD = "arXiv 2302.04440, section 4; marcojira/fld, fld/metrics/FLD.py"


def authentic(evidence: Evidence) -> Value:
    """AuthPct, or why there is none."""
    n = min(len(evidence.train) - 1, len(evidence.generated))
    if n < 1:
        return "needs more than 1 training image and 1 generated image"
    if lost := evidence.features_lost:
        return lost
    return 100 * float(each_authentic(evidence).mean())


def each_authentic(evidence: Evidence) -> NDArray[np.bool_]:
    """Whether each generated image is authentic, computed once."""
    train, generated = few(evidence, "train"), evidence.rows("generated")
    return evidence.once("authentic", lambda: authentic_rows(train, generated, train_radii(evidence).get(1)))


def three_sets(evidence: Evidence) -> str | None:
    """Why a test with held-out images is impossible, or None."""
    if not len(evidence.heldout):
        return "no held-out images"
    if lost := evidence.features_lost:
        return lost
    return None if len(evidence.generated) else "no images"


def cells_of(evidence: Evidence) -> tests.Cells | str:
    """Where the rows lie among the training rows, found once; or why they cannot be compared."""
    missing, rows = three_sets(evidence), evidence.rows
    if missing:
        return missing
    return evidence.once("cells", lambda: tests.in_cells(rows("train"), rows("heldout"), rows("generated")))


def ct(evidence: Evidence) -> Value:
    """C_T, or why there is none."""
    found = cells_of(evidence)
    return found if isinstance(found, str) else found.score()


def ct_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """Bootstrap over generated and held-out images, the training images and their cells fixed."""
    found = cells_of(evidence)
    if isinstance(found, str):
        return None
    h = len(found.heldout)
    every = (found.drawn(draw_rows(h, rng), evidence.draw(rng)).score() for _ in range(resamples))
    values = [value for value in every if not isinstance(value, str)]
    return percentile_interval(values, confidence) if values else None


def likelihood(name: str, evidence: Evidence) -> Value:
    """FLD or its gap, fitted once for both."""
    found = fitted(evidence)
    return found if isinstance(found, str) else float(getattr(found, name))


def fitted(evidence: Evidence) -> tests.Likelihood | str:
    """Both numbers, or why there are none; fitted once."""
    missing, rows = three_sets(evidence), evidence.rows
    if missing:
        return missing
    return evidence.once("fld", lambda: tests.fld(rows("train"), rows("heldout"), rows("generated")))


def fit_interval(
    name: str, evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """Over the images that are scored, the fit fixed."""
    found = fitted(evidence)
    if isinstance(found, str):
        return None
    return normal_interval(float(getattr(found, name)), float(getattr(found, f"{name}_error")), confidence)


def fit_note(evidence: Evidence) -> str | None:
    """How many Gaussians and training images the fit had."""
    found = fitted(evidence)
    return None if isinstance(found, str) else f"{found.components} Gaussians, {found.train} training images"


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            Metric(
                "authpct",
                "percent",
                "up",
                authentic,
                AUTHPCT,
                count_generated,
                interval="wilson",
                each=each_authentic,
                note=sample_note(),
                redrawn=False,
                everywhere=True,
            ),
            about="Percentage of generated images that are further from their nearest training image than that "
            "training image is from its own nearest other one.",
            formula="100 x share of g with min over t != t* of d(t*, t) < d(g, t*), t* = nearest training image of g",
            span="0 to 100; low means copying (marcojira/fld subtracts 50)",
            trap="Duplicates among the training images make their copies look authentic. The interval (Wilson) takes "
            "the training images as fixed.",
        ),
        described(
            Metric(
                "c_t", "z-score", "zero", ct, CT, count_generated, interval="own", own_interval=ct_interval
            ),
            about="A rank test, in cells of the feature space, of whether generated images lie closer to the training "
            "images than held-out images do.",
            formula="mean over cells, weighted by held-out share, of (U - (nm / 2 - 1/2)) / sqrt(nm (n + m + 1) / 12); "
            "U counts pairs in which the generated image is the further one",
            span="0 is ideal; far below 0 copying, far above 0 under-fitting; it has its own error of about 1",
            trap="Grows with the square root of the numbers of images: compare equal numbers only. PCA and cells "
            "differ between tools.",
        ),
        described(
            Metric(
                "fld",
                "nats x 100 a feature",
                "down",
                partial(likelihood, "fld"),
                FLD,
                count_generated,
                interval="own",
                own_interval=partial(fit_interval, "fld"),
                note=fit_note,
            ),
            about="How much less likely held-out images are under Gaussians at the generated images than under "
            "Gaussians at half of the training images; copies get narrow Gaussians that explain nothing else.",
            formula="100 (nll_G(heldout) - nll_base(heldout)), widths fitted to the training images",
            span="about 0 is as good as training images themselves; below 0 is better still",
            trap="Depends on the number of generated images; both mixtures have min(|G|, |train| / 2) components here, "
            "with at most 2048 training images. "
            "A fit by 50 steps of Adam: the last digits are of no meaning.",
        ),
        described(
            Metric(
                "fld_gap",
                "nats x 100 a feature",
                "zero",
                partial(likelihood, "gap"),
                FLD,
                count_generated,
                interval="own",
                own_interval=partial(fit_interval, "gap"),
                note=fit_note,
            ),
            about="How much more likely training images are than held-out ones under Gaussians at the generated "
            "images.",
            formula="100 (nll_G(train) - nll_G(heldout))",
            span="about 0 where nothing is memorized; the further below 0, the more over-fitted",
            trap="The widths are fitted to the training images, so a little below 0 is normal.",
        ),
    )
)
