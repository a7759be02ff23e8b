"""Copies seen in the pixels: Carlini's ratio, tiled l2, and template copies that the whole-image score misses."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from replication_bench.metrics.metric import (
    Evidence,
    Floats,
    Metric,
    Value,
    count_generated,
    described,
    joined,
)
from replication_bench.metrics.summaries import mean, percentile
from replication_bench.metrics.tiles import NEAREST
from replication_bench.statistics.calibration import CopyThreshold, copy_threshold, published_basis

Label = Literal["exact", "template", "none"]

CARLINI = "arXiv 2301.13188, section 5.1"
TILED = "arXiv 2301.13188, section 4.2"
LOCAL = "replication_bench/metrics/tiles.py; labels after arXiv 2305.08694 (matching and template verbatim)"
DELTA = 0.15
FIXED_LOCAL = 0.9
NO_PIXELS = "no pixels were given, only vectors"
NO_HELDOUT = "no held-out images"


def local_limit(evidence: Evidence) -> float:
    """Above this local similarity an image holds part of a training image: calibrated on held-out ones, else 0.9."""
    return copy_threshold(evidence.local_floor, FIXED_LOCAL).value


def whole_threshold(evidence: Evidence, hint: str = "") -> CopyThreshold:
    """Above this similarity an image is a copy as a whole: see ``calibration.copy_threshold``."""
    origin = published_basis(evidence.embedder, evidence.protocol_name, evidence.trained)
    return copy_threshold(evidence.floor, origin=origin, hint=hint)


def whole_limit(evidence: Evidence) -> float:
    """The value of ``whole_threshold``."""
    return whole_threshold(evidence).value


def labelled(evidence: Evidence, whole: Floats, local: Floats) -> NDArray[np.str_]:
    """``exact``, ``template`` or ``none`` for similarities of pairs, whole and local, [n] each."""
    part = np.where(local > local_limit(evidence), "template", "none")
    return np.where(whole > whole_limit(evidence), "exact", part)


def labels(evidence: Evidence) -> NDArray[np.str_] | str:
    """``exact``, ``template`` or ``none`` for each generated image, [g]; or why there are none.

    Exact: the embedder's similarity is above its threshold. Template: it is not, but half of the tiles agree with one
    training image in place. None: neither.
    """
    if not len(evidence.local):
        return evidence.why("pixels", NO_PIXELS)
    return labelled(evidence, evidence.top1, evidence.local)


def label_share(label: Label, evidence: Evidence) -> Value:
    """Share of generated images with ``label``; copies as a whole are told without pixels."""
    if label == "exact" and len(evidence.top1):
        return float((evidence.top1 > whole_limit(evidence)).mean())
    found = labels(evidence)
    return found if isinstance(found, str) else float((found == label).mean())


def limit_note(evidence: Evidence) -> str:
    """Which thresholds the labels rest on."""
    whole = whole_threshold(evidence)
    if not len(evidence.local):
        return f"whole image above {whole.value:.3f} ({whole.rule})"
    local = copy_threshold(evidence.local_floor, FIXED_LOCAL, "fixed here")
    return f"whole image above {whole.value:.3f} ({whole.rule}), tiles above {local.value:.3f} ({local.rule})"


def of_pixels(name: str, fn: object, evidence: Evidence) -> Value:
    """A number of one pixel measure, or why there is none."""
    assert callable(fn)
    rows = getattr(evidence, name)
    if name == "local_floor" and len(evidence.local) and not len(rows):
        return NO_HELDOUT
    found: Value = fn(rows) if len(rows) else evidence.why("pixels", NO_PIXELS)
    return found


def near(rows: NDArray[np.float32]) -> Value:
    """Share of images nearer than Carlini's delta."""
    return float((rows < DELTA).mean())


def carlini_note(evidence: Evidence) -> str | None:
    """How many neighbours the ratio has, where training images are few."""
    t = len(evidence.train)
    return f"{t} neighbours, since there are no {NEAREST} training images" if t < NEAREST else None


def pixel_metric(name: str, rows: str, fn: object, unit: str, source: str, better: str = "up") -> Metric:
    """A number of one pixel measure."""
    return Metric(
        name,
        unit,
        better,  # type: ignore[arg-type]
        partial(of_pixels, rows, fn),
        source,
        lambda e: len(getattr(e, rows)),
        interval="wilson" if unit == "share" else "bootstrap",
        note=carlini_note if rows == "carlini" else lambda evidence: None,
    )


def label_metric(name: str, label: Label) -> Metric:
    """The share of one label."""
    return Metric(
        name,
        "share",
        "down",
        partial(label_share, label),
        LOCAL,
        count_generated,
        interval="wilson",
        note=limit_note,
    )


METRICS: tuple[Metric, ...] = joined(
    (
        described(
            pixel_metric("carlini_ratio_5pc", "carlini", partial(percentile, q=5), "ratio", CARLINI),
            pixel_metric("carlini_ratio_50pc", "carlini", partial(percentile, q=50), "ratio", CARLINI),
            about="How much nearer in pixels a generated image is to its nearest training image than to its 50 nearest "
            "ones: the 5th percentile, where copies are, and the median.",
            formula="d_1 / (0.5 mean of d_1 .. d_50), d = root mean squared pixel difference at 64 x 64, nearest "
            "included",
            span="0 (a copy) to 2 (all equally far)",
            trap="Blind to shifts, crops and flips. An image that is repeated among the training images has a large "
            "ratio however exact its copy.",
        ),
        described(
            pixel_metric("tiled_l2_5pc", "tiled_l2", partial(percentile, q=5), "distance", TILED),
            pixel_metric("tiled_l2_lt_015", "tiled_l2", near, "share", TILED, "down"),
            about="Pixel distance to the nearest training image where the worst of 16 tiles counts, so that a common "
            "background does not make two images alike; and the share below 0.15.",
            formula="min over t of max over tiles of the root mean squared difference, pixels in [0, 1], 4 x 4 tiles "
            "of 16 x 16 pixels",
            span="0 (a copy) to 1; the share 0 to 1",
            trap="0.15 was set for photographs at 512 pixels; for drawings on white read the percentile. Blind to "
            "shifts, crops and flips.",
        ),
        described(
            pixel_metric("local_mean", "local", mean, "correlation", LOCAL, "down"),
            pixel_metric("local_95pc", "local", partial(percentile, q=95), "correlation", LOCAL, "down"),
            pixel_metric(
                "local_floor_95pc",
                "local_floor",
                partial(percentile, q=95),
                "correlation",
                LOCAL,
                "reference",
            ),
            about="Patch-wise similarity: how well the better half of an image's tiles agrees, in place, with those of "
            "one training image. It sees copies of a background or a layout that the whole-image score misses. The "
            "floor is the same of held-out images.",
            formula="max over t of the mean of the 8 highest of 16 tile correlations; a tile that is flat on either "
            "side counts 0",
            span="-1 to 1; the floor is the goal",
            trap="Tiles are compared in place only: a moved or flipped part is not found.",
        ),
        described(
            label_metric("exact_share", "exact"),
            label_metric("template_share", "template"),
            about="Shares of generated images that copy a training image as a whole (exact), or half of its tiles "
            "only (template); the rest is labelled none.",
            formula="exact: m above what at most 1 % of innocent images exceed (the k-th smallest of n held-out "
            "similarities, k = ceil(0.99 (n + 1))); below 99 held-out images the larger of their largest and 0.75; "
            "template: not exact, and the local similarity above the same of its own (fixed at 0.9 instead of 0.75)",
            span="0 to 1; about 0.01 is innocent where thresholds are calibrated",
            trap="The note states at which rate innocent images exceed each threshold. A held-out image that is itself "
            "near a training image raises the threshold. 0.75 is published for SSCD disc_mixup at 288 or 320 px; for "
            "other embedders and protocols it has no basis, and the note says so.",
        ),
    )
)
