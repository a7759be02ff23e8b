"""How much is copied: DCR's keys, three anchors, shares above thresholds.

Keys ``sim_*`` and ``bg_*`` follow DCR (somepago/DCR, diff_retrieval.py); see ``summaries`` for its conventions.
"""

from __future__ import annotations

import numpy as np

from replication_bench.metrics.metric import Evidence, Metric, Value, count_generated, described, joined
from replication_bench.metrics.summaries import (
    largest,
    mean,
    percentile_of,
    percentiles,
    share,
    share_above,
    statistic,
    std,
)
from replication_bench.statistics.calibration import calibrate
from replication_bench.statistics.intervals import hull, percentile_interval, wilson_interval

LEAST_RANGE = 0.05
DCR = "somepago/DCR, diff_retrieval.py"
ANCHORS = "docs/design.md, section 5"
SSCD = "facebookresearch/sscd-copy-detection, README"


def r_star(evidence: Evidence) -> Value:
    """R* = (R - floor) / (ceiling - floor): 0 is an innocent generator, 1 is copying as far as the VAE allows."""
    if not len(evidence.floor):
        return "no held-out images"
    if not len(evidence.ceiling):
        return "no backbone, so no ceiling"
    if not len(evidence.top1):
        return "no images"
    top, low, high = (
        float(np.percentile(rows, 95)) for rows in (evidence.top1, evidence.floor, evidence.ceiling)
    )
    if high - low < LEAST_RANGE:
        return f"ceiling - floor = {high - low:.3f} is below {LEAST_RANGE}"
    return (top - low) / (high - low)


def threshold(evidence: Evidence) -> Value:
    """The calibrated threshold."""
    found = calibrate(evidence.floor)
    return found if isinstance(found, str) else found.threshold


def share_above_calibrated(evidence: Evidence) -> Value:
    """Share of generations strictly above the calibrated threshold."""
    found = calibrate(evidence.floor)
    return found if isinstance(found, str) else share_above(evidence.top1, found.threshold)


def calibrated_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float]:
    """Bootstrap over both sets, since the threshold is itself estimated, but never narrower than Wilson's.

    A bootstrap of 0 of n is [0, 0], which would claim certainty.
    """
    share = share_above_calibrated(evidence)
    assert not isinstance(share, str), "an interval is asked for only where there is a value"
    wilson = wilson_interval(share, len(evidence.top1), confidence)
    draws = [share_above_calibrated(evidence.resample(rng)) for _ in range(resamples)]
    values = [draw for draw in draws if not isinstance(draw, str)] or [share]
    return hull(wilson, percentile_interval(values, confidence))


def mean_above_floor(evidence: Evidence) -> Value:
    """Mean top-1 similarity of the generated images minus that of the held-out images."""
    if not len(evidence.floor):
        return "no held-out images"
    if not len(evidence.top1):
        return "no images"
    return float(evidence.top1.mean(dtype=np.float64) - evidence.floor.mean(dtype=np.float64))


def reduction(r: float, r_reference: float) -> Value:
    """1 - R / R_reference; a reason where the reference is not positive."""
    return 1 - r / r_reference if r_reference > 0 else f"the reference's R is {r_reference:.3f}"


def reduction_floor(r: float, r_reference: float, floor: float) -> Value:
    """1 - (R - floor) / (R_reference - floor); a reason where the reference does not exceed the floor."""
    if r_reference <= floor:
        return f"the reference's R ({r_reference:.3f}) does not exceed the floor ({floor:.3f})"
    return 1 - (r - floor) / (r_reference - floor)


def quantile_note(evidence: Evidence) -> str | None:
    """Which quantile the calibrated threshold is."""
    found = calibrate(evidence.floor)
    return (
        None
        if isinstance(found, str)
        else f"quantile {found.quantile:.3f} of {len(evidence.floor)} held-out images"
    )


M = "m(g) = max over t of <g, t>"

METRICS: tuple[Metric, ...] = joined(
    (
        described(
            # R is our reading: the paper's printed definition is unknown; the DCR lineage reports this percentile.
            percentile_of("R", "top1", "down", ANCHORS, 95),
            about="The replication score: how close the most copied twentieth of the generated images comes to the "
            "training images. It equals sim_95pc.",
            formula=f"95th percentile over generated images of {M}",
            span="cosine, -1 to 1; the floor is the goal, not -1",
            trap="Our reading of the papers' score, whose printed definition is not known to us. It grows with the "
            "number of training images; copies that are rarer than 1 in 20 do not move it.",
        ),
        described(
            Metric("r_star", "ratio", "zero", r_star, ANCHORS, count_generated),
            about="R between its anchors: 0 is what held-out images score, 1 what the training images score after the "
            "backbone's own VAE round trip.",
            formula="(R - floor) / (ceiling - floor), the 95th percentile each time",
            span="0 is innocent, 1 copying as far as the VAE allows; may leave [0, 1]",
            trap="Missing where ceiling and floor lie closer than 0.05: then nothing can be told apart.",
        ),
        described(
            statistic("sim_mean", "top1", mean, "down", DCR, everywhere=True),
            statistic("sim_std", "top1", std, "reference", DCR),
            *percentiles("sim", "top1", "down", DCR, (75, 90)),
            percentile_of("sim_95pc", "top1", "down", DCR, 95, everywhere=True),
            statistic("sim_max", "top1", largest, "down", "arXiv 2404.00922, section 5"),
            about="Similarity of generated images to their nearest training image: mean, population standard "
            "deviation, percentiles (pc), largest.",
            formula=f"statistics over generated images of {M}; percentiles interpolate linearly",
            span="cosine, -1 to 1; the floor is the goal, not -1",
            trap="Copies are a tail event: the mean and the percentiles above the copies' share hide them. All grow "
            "with the number of training images.",
        ),
        described(
            share("sim_gt_05pc", "top1", 0.5, "down", DCR),
            share("sim_gt_075", "top1", 0.75, "down", SSCD),
            about="Share of generated images that are more similar to a training image than 0.5, the literature's "
            "threshold, or 0.75, at which SSCD mixup has 90 % precision on DISC.",
            formula=f"share of generated images with m > 0.5 (0.75), strict; {M}",
            span="0 to 1; 0 is ideal",
            trap="0.5 has no basis in SSCD's documentation: unrelated drawings exceed it (see floor_gt_05pc). The name "
            "sim_gt_05pc is DCR's; it is a share, no percentile.",
        ),
        described(
            Metric(
                "sim_gt_calibrated",
                "share",
                "down",
                share_above_calibrated,
                ANCHORS,
                count_generated,
                interval="own",
                own_interval=calibrated_interval,
                note=quantile_note,
            ),
            about="Share of generated images above the threshold that held-out images gave; the note says which "
            "quantile that is.",
            formula="share of generated images with m > threshold",
            span="0 to 1; about 1 - quantile is innocent",
            trap="Not 0 but 1 - quantile is what an innocent generator scores: see excess_calibrated.",
        ),
        described(
            Metric("mean_above_floor", "cosine", "down", mean_above_floor, ANCHORS, count_generated),
            about="How much more similar to training images the generated ones are than held-out ones, on average.",
            formula="mean of m over generated - mean of m over held-out images",
            span="cosine difference; 0 is innocent",
            trap="A mean: few copies among many images hide in it.",
        ),
        described(
            statistic("bg_mean", "background", mean, "reference", DCR),
            statistic("bg_std", "background", std, "reference", DCR),
            *percentiles("bg", "background", "reference", DCR, (75, 90, 95)),
            about="The background: how similar training images are to their nearest other training image.",
            formula="statistics over training images of max over t' != t of <t, t'>, itself left out by id",
            span="cosine, -1 to 1; a reference without direction",
            trap="Duplicates among the training images raise it. DCR takes the second largest value instead, which is "
            "wrong where duplicates tie.",
        ),
        described(
            statistic("floor_mean", "floor", mean, "reference", ANCHORS),
            *percentiles("floor", "floor", "reference", ANCHORS, (95,)),
            share("floor_gt_05pc", "floor", 0.5, "reference", ANCHORS),
            about="The floor: what held-out real images score against the training images, as an innocent generator "
            "would.",
            formula="mean, 95th percentile and share above 0.5 over held-out images of max over t of <p, t>",
            span="cosine, -1 to 1, or a share; a reference without direction",
            trap="A split that was chosen for low similarity has a floor that holds for that set only.",
        ),
        described(
            statistic("ceiling_mean", "ceiling", mean, "reference", ANCHORS),
            *percentiles("ceiling", "ceiling", "reference", ANCHORS, (95,)),
            about="The ceiling: what the training images score after the backbone's own VAE round trip, as close as a "
            "perfect copy can come.",
            formula="mean and 95th percentile over training images of max over t of <VAE(t), t>",
            span="cosine, -1 to 1; a reference without direction",
            trap="Missing without a backbone, as in an audit.",
        ),
        described(
            Metric(
                "threshold",
                "cosine",
                "reference",
                threshold,
                ANCHORS,
                lambda e: len(e.floor),
                note=quantile_note,
            ),
            about="The calibrated threshold: the highest quantile of held-out to train that the number of held-out "
            "images supports.",
            formula="the largest held-out similarity with at least 10 held-out images strictly above it",
            span="cosine, -1 to 1; a reference without direction",
            trap="With few held-out images the quantile is low, so the threshold is lenient to itself and harsh to the "
            "generator: threshold_fpr tells how harsh. Labels do not rest on it: see exact_share, and an audit's "
            "copy_threshold.",
        ),
    )
)
