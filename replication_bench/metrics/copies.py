"""Which training images are copied, how often, by which prompt, and how sure the threshold is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from replication_bench.metrics.metric import (
    Evidence,
    Floats,
    Metric,
    Value,
    count_generated,
    described,
    joined,
)
from replication_bench.metrics.replication import ANCHORS
from replication_bench.metrics.summaries import mean, percentile, share_above
from replication_bench.statistics.calibration import FalsePositives, calibrate, false_positives
from replication_bench.statistics.intervals import hull, percentile_interval, wilson_interval

LITERATURE = 0.5
TOP = 0.05
OWN = "arXiv 2212.03860, section 5; somepago/DCR, diff_retrieval.py"
COUNTS = "arXiv 2301.13188, section 4.3, counted in the embedder's space"


def copies_of(evidence: Evidence, threshold: float) -> dict[int, int]:
    """How many generated images are copies (similarity strictly above ``threshold``) of each copied training row."""
    rows, counts = np.unique(evidence.nearest[evidence.top1 > threshold], return_counts=True)
    return dict(zip(rows.tolist(), counts.tolist(), strict=True))


def limit_of(calibrated: bool, evidence: Evidence) -> float | str:
    """0.5, or the calibrated threshold, or why there is none."""
    if not calibrated:
        return LITERATURE
    found = calibrate(evidence.floor)
    return found if isinstance(found, str) else found.threshold


def copy_count(what: str, calibrated: bool, evidence: Evidence) -> Value:
    """Number of copied training images, or copies of the most copied one."""
    limit = limit_of(calibrated, evidence)
    if isinstance(limit, str):
        return limit
    if not len(evidence.top1):
        return "no images"
    found = evidence.once(("copies", limit), lambda: copies_of(evidence, limit))
    return float(len(found) if what == "distinct" else max(found.values(), default=0))


def copies_each(calibrated: bool, evidence: Evidence) -> Value:
    """Mean number of copies of a copied training image."""
    distinct = copy_count("distinct", calibrated, evidence)
    if isinstance(distinct, str):
        return distinct
    if distinct == 0:
        return "no training image is copied"
    return float((evidence.top1 > float(limit_of(calibrated, evidence))).sum()) / distinct


def distinct_copied(evidence: Evidence) -> Value:
    """Share of the training images that are the nearest one of a generation above 0.5."""
    if not len(evidence.train):
        return "no images"
    return len(copies_of(evidence, LITERATURE)) / len(evidence.train)


def top_mean(evidence: Evidence) -> Value:
    """Mean of the highest 5 % of similarities, at least one."""
    n = len(evidence.top1)
    if not n:
        return "no images"
    rows = np.sort(evidence.top1)[-max(1, round(TOP * n)) :]
    return float(rows.mean(dtype=np.float64))


def own_rows(evidence: Evidence) -> Floats | str:
    """Similarities to the images whose caption prompted the sample, or why there are none."""
    rows = evidence.own_prompt[~np.isnan(evidence.own_prompt)]
    return rows if len(rows) else evidence.why("own_prompt", "no prompt is the caption of a training image")


def of_own(fn: Callable[[Floats], Value], evidence: Evidence) -> Value:
    """A number of the own-prompt similarities."""
    rows = own_rows(evidence)
    return rows if isinstance(rows, str) else fn(rows)


def own_nearest(evidence: Evidence) -> Value:
    """Share of samples whose nearest training image is one whose caption prompted them."""
    rows = own_rows(evidence)
    if isinstance(rows, str):
        return rows
    known = ~np.isnan(evidence.own_prompt)
    # the two searches round differently in the last bits of float32
    return float((evidence.own_prompt[known] >= evidence.top1[known] - 1e-6).mean())


def count_own(evidence: Evidence) -> int:
    """Number of samples prompted by a training caption."""
    rows = own_rows(evidence)
    return 0 if isinstance(rows, str) else len(rows)


def own_metric(
    name: str,
    unit: str,
    value: Callable[[Evidence], Value],
    interval: Literal["bootstrap", "wilson"] = "bootstrap",
) -> Metric:
    """A number of the own-prompt similarities."""
    return Metric(name, unit, "down", value, OWN, count_own, interval=interval)


def excess(evidence: Evidence) -> Value:
    """Share of generated minus share of held-out images above the calibrated threshold."""
    limit = limit_of(True, evidence)
    if isinstance(limit, str):
        return limit
    ours, floor = (share_above(rows, limit) for rows in (evidence.top1, evidence.floor))
    return "no images" if isinstance(ours, str) or isinstance(floor, str) else ours - floor


def excess_interval(
    evidence: Evidence, rng: np.random.Generator, resamples: int, confidence: float
) -> tuple[float, float]:
    """Bootstrap over both sets, but never narrower than Wilson's of the generated images beside the held-out share.

    No hit among few images is no certainty, and a bootstrap of 0 of n stays at 0.
    """
    limit, value = limit_of(True, evidence), excess(evidence)
    assert isinstance(limit, float), "asked only where there is a value"
    assert isinstance(value, float), "asked only where there is a value"
    ours = value + (floor := float((evidence.floor > limit).mean()))
    low, high = wilson_interval(ours, len(evidence.top1), confidence)
    draws = [excess(evidence.resample(rng)) for _ in range(resamples)]
    values = [draw for draw in draws if not isinstance(draw, str)] or [value]
    return hull((low - floor, high - floor), percentile_interval(values, confidence))


def checked_threshold(evidence: Evidence, confidence: float = 0.95) -> FalsePositives | str:
    """How often held-out images exceed a threshold that was set without them."""
    return evidence.once(("fpr", confidence), lambda: false_positives(evidence.floor, confidence))


def fpr(evidence: Evidence) -> Value:
    """The false-positive rate of the calibrated threshold."""
    found = checked_threshold(evidence)
    return found if isinstance(found, str) else found.rate


def count_metric(name: str, what: str, calibrated: bool) -> Metric:
    """A count of copied training images or of copies."""
    return Metric(
        name, "count", "down", partial(copy_count, what, calibrated), COUNTS, count_generated, interval=None
    )


def each_metric(name: str, calibrated: bool) -> Metric:
    """Mean number of copies of a copied training image."""
    return Metric(
        name, "ratio", "down", partial(copies_each, calibrated), COUNTS, count_generated, interval=None
    )


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            Metric(
                "distinct_copied",
                "share",
                "down",
                distinct_copied,
                ANCHORS,
                lambda e: len(e.train),
                interval=None,
            ),
            count_metric("copied_images", "distinct", False),
            count_metric("copied_images_calibrated", "distinct", True),
            each_metric("copies_each", False),
            each_metric("copies_each_calibrated", True),
            count_metric("copies_most", "most", False),
            count_metric("copies_most_calibrated", "most", True),
            about="Which training images leak: how many different ones are copied (as a count, and as a share of all), "
            "how often a copied one is copied on average, and how often the most copied one is.",
            formula="a generated image is a copy of its nearest training image where their similarity is above 0.5 "
            "(or the calibrated threshold), strict",
            span="0 and up; 0 is ideal",
            trap="Counts grow with the number of generated images: compare equal numbers only. No interval: an image "
            "that was not drawn cannot be drawn again, so a bootstrap counts too few.",
        ),
        described(
            Metric("top5_mean", "cosine", "down", top_mean, "arXiv 2212.03860, section 6", count_generated),
            about="Mean similarity of the most copied 5 % of the generated images; unlike R it tells how far the tail "
            "goes.",
            formula="mean of the highest 5 % (at least one) of m(g) = max over t of <g, t>",
            span="cosine, -1 to 1; the floor is the goal",
            trap="Below 200 images it is a mean of fewer than 10.",
        ),
        described(
            own_metric("own_prompt_mean", "cosine", partial(of_own, mean)),
            own_metric("own_prompt_95pc", "cosine", partial(of_own, partial(percentile, q=95))),
            own_metric(
                "own_prompt_gt_05pc", "share", partial(of_own, partial(share_above, threshold=0.5)), "wilson"
            ),
            own_metric("own_prompt_nearest", "share", own_nearest, "wilson"),
            about="Similarity of each generated image to the training image whose caption prompted it (the most "
            "similar one where several have it), and how often that image is the nearest of all.",
            formula="own(g) = max over t with caption(t) = prompt(g) of <g, t>; mean, 95th percentile, share above "
            "0.5, share with own(g) = m(g)",
            span="cosine, -1 to 1, or a share",
            trap="A prompt can bring out an image with another caption: m(g), not own(g), is the copy score.",
        ),
        described(
            Metric(
                "excess_calibrated",
                "share",
                "down",
                excess,
                ANCHORS,
                count_generated,
                interval="own",
                own_interval=excess_interval,
            ),
            about="How many more generated than held-out images lie above the calibrated threshold: copies beyond "
            "chance.",
            formula="share of generated with m > threshold - share of held-out with m > threshold",
            span="-1 to 1; 0 is innocent",
            trap="The held-out share is that of the images that set the threshold, 1 - quantile; threshold_fpr is the "
            "honest rate.",
        ),
        described(
            Metric(
                "threshold_fpr",
                "share",
                "reference",
                fpr,
                ANCHORS,
                lambda e: len(e.floor),
                interval="wilson",
                redrawn=False,
            ),
            about="How often the calibrated threshold calls an innocent image a copy: held-out images tested against "
            "the threshold that the other half of them gives.",
            formula="share of held-out images above the same quantile of the half without them; halves at random, "
            "seed 0",
            span="0 to 1; about 1 - quantile",
            trap="Held-out images of another source than the training images have a lower rate than is true.",
        ),
    )
)
