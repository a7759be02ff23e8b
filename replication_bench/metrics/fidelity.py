"""How far the generated images are from real ones as a whole: Frechet and kernel distances.

Names say ``kd`` and ``fd`` in the embedder's own space; ``kid`` and ``fid`` mean Inception features, ``cmmd`` CLIP's.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from replication_bench.metrics.frechet import Frechet, frechet, gap_error
from replication_bench.metrics.kernel_metrics import (
    INCEPTION,
    clip_distance,
    kernel_distance,
    kernel_metric,
    kernel_value,
    too_few,
)
from replication_bench.metrics.metric import Evidence, Metric, Value, count_generated, described, joined
from replication_bench.metrics.neighbours import memorization_distance
from replication_bench.metrics.sampled import sample_of
from replication_bench.statistics.intervals import normal_interval

KID = "arXiv 1801.01401, equation 4"
FID = "arXiv 1706.08500, equation 6"
CMMD = "arXiv 2401.09603, equation 4; sayakpaul/cmmd-pytorch"
MIFID = "torchmetrics, image/mifid.py"
ENOUGH = 2048
REAL = ("heldout", "train")
MIFID_EPSILON = 0.1


def frechet_found(real: str, evidence: Evidence) -> Frechet:
    """The Frechet distance of generated and ``real`` rows, computed once."""
    a, b = evidence.rows("generated"), evidence.rows(real)
    return evidence.once(("frechet", real), lambda: frechet(a, b, evidence.groups))


def frechet_value(real: str, role: str, evidence: Evidence) -> Value:
    """The distance; in an embedder's space only where both sets have more than 2 d rows."""
    missing = evidence.features_lost or too_few(evidence, real, role)
    if missing:
        return missing
    a, b = evidence.rows("generated"), evidence.rows(real)
    n, least = min(len(a), len(b)), 2 * a.shape[1]
    if n <= least and not role:
        return f"needs more than 2d = {least} images on each side, got {n}; see the kernel distance"
    return frechet_found(real, evidence).value


def frechet_interval(
    real: str, evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """The delta method's interval, cut at 0."""
    found = frechet_found(real, evidence)
    if found.error is None:
        return None
    low, high = normal_interval(found.value, found.error, confidence)
    return max(0.0, low), high


def low_note(real: str, kernel: str, evidence: Evidence) -> str:
    """A warning with the kernel distance beside it where images are few; else empty."""
    n = min(len(evidence.rows("generated")), len(evidence.rows(real)))
    if n >= ENOUGH:
        return ""
    return f"low_n: {n} images, fewer than {ENOUGH}, biased upward; {kernel} = {kernel_value(real, evidence):.4g}"


def frechet_note(real: str, kernel: str, evidence: Evidence) -> str | None:
    """Which weights, and the warning of ``low_note``."""
    return "; ".join(filter(None, (evidence.protocol_name, low_note(real, kernel, evidence)))) or None


def gap_note(kernel: str, evidence: Evidence) -> str | None:
    """Which weights, the warnings of the two distances that a gap is made of, and that the larger set was sampled."""
    lows = {real: low_note(real, f"{kernel}_{real}", evidence) for real in REAL}
    told = (f"{real}: {low}" for real, low in lows.items() if low)
    return "; ".join(filter(None, (evidence.protocol_name, *told, even_note(evidence)))) or None


def even_note(evidence: Evidence) -> str:
    """Of which set a sample was taken for a gap, or nothing."""
    n = even(evidence)
    return "; ".join(
        f"{n:,} of {len(evidence.rows(real)):,} {words} images, drawn with seed 0: as many as of the other kind"
        for real, words in zip(REAL, ("held-out", "training"), strict=True)
        if len(evidence.rows(real)) > n
    )


def frechet_metric(name: str, real: str, kernel: str, role: str = "") -> Metric:
    """Frechet distance between the generated and the ``real`` rows; ``kernel`` is the metric shown beside."""
    return Metric(
        name,
        "squared distance",
        "down",
        partial(frechet_value, real, role),
        FID,
        count_generated,
        interval="own",
        own_interval=partial(frechet_interval, real),
        note=partial(frechet_note, real, kernel),
        role=role,
        everywhere=not role,
    )


def frechet_gap(role: str, evidence: Evidence) -> Value:
    """Distance to held-out images minus distance to as many training images."""
    values = (frechet_value(real, role, evidence) for real in REAL)
    missing = [value for value in values if isinstance(value, str)]
    if missing:
        return missing[0]
    heldout, train = gap_sides(evidence)
    return heldout.value - train.value


def gap_sides(evidence: Evidence) -> tuple[Frechet, Frechet]:
    """Distances to equally many held-out and training rows: a bias that falls with their number would be a gap too."""

    def make() -> tuple[Frechet, Frechet]:
        heldout, train = (side(real, evidence) for real in REAL)
        return heldout, train

    return evidence.once("gap", make)


def side(real: str, evidence: Evidence) -> Frechet:
    """The distance to ``real`` rows; of the larger set, to a sample as large as the smaller one."""
    rows, n = evidence.rows(real), even(evidence)
    if len(rows) == n:
        return frechet_found(real, evidence)
    return frechet(evidence.rows("generated"), rows[sample_of(len(rows), n)], evidence.groups)


def even(evidence: Evidence) -> int:
    """How many rows of either kind a gap rests on."""
    return min(len(evidence.rows(real)) for real in REAL)


def gap_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """The delta method's interval; the generated images' errors in both distances are one error."""
    heldout, train = gap_sides(evidence)
    error = gap_error(heldout, train)
    return None if error is None else normal_interval(heldout.value - train.value, error, confidence)


def gap_metric(name: str, role: str = "") -> Metric:
    """How much nearer to the training images than to held-out ones."""
    return Metric(
        name,
        "squared distance",
        "zero",
        partial(frechet_gap, role),
        FID,
        count_generated,
        interval="own",
        own_interval=gap_interval,
        note=partial(gap_note, "kid" if role else "kd"),
        role=role,
    )


def mifid(role: str, evidence: Evidence) -> Value:
    """The Frechet distance to the training images, divided by the memorization distance where that is below 0.1."""
    distance = frechet_value("train", role, evidence)
    if isinstance(distance, str) or distance <= 1e-8:
        return distance if isinstance(distance, str) else 0.0
    penalty = penalty_of(evidence)
    if penalty == 0:
        return "every training image is generated exactly, so the distance is divided by 0"
    return distance / penalty if penalty < MIFID_EPSILON else distance


def penalty_of(evidence: Evidence) -> float:
    """The memorization distance, computed once."""
    train, generated = evidence.rows("train"), evidence.rows("generated")
    return evidence.once("memorization", lambda: memorization_distance(train, generated))


def mifid_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float] | None:
    """That of the Frechet distance where nothing is divided; None where it is: the joint spread has no formula here."""
    divided = penalty_of(evidence) < MIFID_EPSILON
    return None if divided else frechet_interval("train", evidence, rng, resamples, confidence)


def mifid_metric(name: str, role: str = "") -> Metric:
    """See ``mifid``."""
    return Metric(
        name,
        "squared distance",
        "down",
        partial(mifid, role),
        MIFID,
        count_generated,
        interval="own",
        own_interval=mifid_interval,
        note=partial(frechet_note, "train", "kid_train" if role else "kd_train"),
        role=role,
    )


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            kernel_metric("kd_heldout", "heldout", kernel_distance, f"{KID}, in the embedder's space"),
            kernel_metric("kd_train", "train", kernel_distance, f"{KID}, in the embedder's space"),
            about="How far the generated images as a whole are from held-out (or training) images, in the embedder's "
            "own space. It works with a few dozen images, where a Frechet distance does not.",
            formula="1000 [mean of k over pairs of generated + mean of k over pairs of real - 2 mean of k across], "
            "k(x, y) = (x.y / d + 1)^3, pairs of a row with itself left out; unit vectors times sqrt(d)",
            span="about 0 and up; unbiased, so it can be a little below 0",
            trap="It is no KID: that name means Inception features. All pairs are used, not subsets of 1000.",
        ),
        described(
            frechet_metric("fd_heldout", "heldout", "kd_heldout"),
            frechet_metric("fd_train", "train", "kd_train"),
            about="The same question asked of Gaussians fitted to both sets, in the embedder's own space. Missing "
            "where a side has no more than 2 d images; below 2048 it is marked and the kernel distance stands beside.",
            formula="||mu_G - mu_X||^2 + tr S_G + tr S_X - 2 tr (S_G S_X)^(1/2), unbiased covariances",
            span="0 and up",
            trap="Biased upward for few images: compare equal numbers only. Against the training images it rewards "
            "copying. The interval (delta method) tells the spread, not the bias.",
        ),
        described(
            gap_metric("fd_gap"),
            gap_metric("fid_gap", INCEPTION),
            about="How much nearer the generated images are to the training images than to held-out ones of the same "
            "source; above 0 points to memorization.",
            formula="FD(G, heldout) - FD(G, train), both on as many real images as the smaller set has",
            span="0 is innocent; above 0 copying",
            trap="The sets must be of one source. The larger one is sampled (seed 0), since the bias of a distance "
            "falls with its number of images: hence not the difference of the two distances beside it. Copies of "
            "images outside the sample do not count. Below 2048 images it is marked low_n.",
        ),
        described(
            mifid_metric("mifd_train"),
            mifid_metric("mifid_train", INCEPTION),
            about="A Frechet distance to the training images that is punished where every training image has a "
            "generated one almost in its direction.",
            formula="FD / m' with m = mean over train of min over generated of (1 - |cos|), m' = m if m < 0.1 else 1",
            span="0 and up",
            trap="The mean runs over training images, so a model that copies only a few of them is not punished. "
            "|cos| takes opposite vectors as equal.",
        ),
        described(
            frechet_metric("fid_heldout", "heldout", "kid_heldout", INCEPTION),
            frechet_metric("fid_train", "train", "kid_train", INCEPTION),
            about="Frechet Inception distance; the note names weights and preprocessing, since each tool has another.",
            formula="||mu_G - mu_X||^2 + tr S_G + tr S_X - 2 tr (S_G S_X)^(1/2) of Inception-v3 pool features",
            span="0 and up",
            trap="Below 2048 images it is biased upward and only a hint (marked low_n). Papers use the training images "
            "as reference, which rewards copying; the held-out one is the fair number.",
        ),
        described(
            kernel_metric("kid_heldout", "heldout", kernel_distance, KID, INCEPTION),
            kernel_metric("kid_train", "train", kernel_distance, KID, INCEPTION),
            about="Kernel Inception distance, the unbiased companion of FID for few images.",
            formula="1000 x the kernel distance on Inception-v3 pool features, all pairs",
            span="about 0 and up; unbiased, so it can be a little below 0",
            trap="Printed x 1000 here, raw elsewhere. Other tools average subsets of 1000 and print their spread, "
            "which is no interval.",
        ),
        described(
            kernel_metric("cmmd_heldout", "heldout", clip_distance, CMMD, "open-clip"),
            kernel_metric("cmmd_train", "train", clip_distance, CMMD, "open-clip"),
            about="Kernel distance of CLIP image vectors, steadier than FID at a few thousand images. The note names "
            "the CLIP model.",
            formula="1000 MMD^2, k(x, y) = exp(-||x - y||^2 / 200) on unit vectors, a row's pair with itself kept",
            span="0 and up",
            trap="Published values use ViT-L/14 at 336 px; another CLIP gives another scale.",
        ),
    )
)
