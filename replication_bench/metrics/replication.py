"""How much is copied: DCR's keys, three anchors, thresholds.

Keys ``sim_*`` and ``bg_*`` follow DCR (somepago/DCR, diff_retrieval.py): percentiles interpolate linearly,
``sim_std`` is the population value, a threshold test is strict. ``pc`` means percentile: the values are
cosines, not percentages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from replication_bench.metrics.metric import Evidence, Floats, Metric, Value
from replication_bench.statistics import percentile_interval, wilson_interval

Direction = Literal["up", "down", "zero", "reference"]

LEAST_RANGE = 0.05
TAIL_ROWS = 10
DCR = "somepago/DCR, diff_retrieval.py"
ANCHORS = "docs/design.md, section 5"


class Calibration(NamedTuple):
    """A threshold with the quantile of held-out similarities that it is."""

    threshold: float
    quantile: float


def calibrate(floor: Floats) -> Calibration | str:
    """The highest quantile of held-out-to-train similarity with at least ``TAIL_ROWS`` rows above it, or why not.

    Above is strict, so that equal similarities (duplicates among the held-out images) push the threshold down.
    """
    if len(floor) < 2 * TAIL_ROWS:
        return f"needs at least {2 * TAIL_ROWS} held-out images, got {len(floor)}"
    rows = np.sort(floor)
    below = int(np.searchsorted(rows, rows[-TAIL_ROWS]))
    if below == 0:
        return f"the {len(floor)} held-out similarities are too equal to leave a threshold below {TAIL_ROWS} of them"
    return Calibration(float(rows[below - 1]), below / len(floor))


def percentile(rows: Floats, q: float) -> Value:
    """The q-th percentile, or the reason why there is none."""
    return float(np.percentile(rows, q)) if len(rows) else "no images"


def mean(rows: Floats) -> Value:
    """The mean, or the reason why there is none."""
    return float(rows.mean(dtype=np.float64)) if len(rows) else "no images"


def share_above(rows: Floats, threshold: float) -> Value:
    """Share of rows strictly above ``threshold``, in [0, 1]."""
    return float((rows > threshold).mean()) if len(rows) else "no images"


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
    low, high = wilson_interval(share, len(evidence.top1), confidence)
    draws = [share_above_calibrated(evidence.resample(rng)) for _ in range(resamples)]
    values = [draw for draw in draws if not isinstance(draw, str)] or [share]
    first, last = percentile_interval(values, confidence)
    return min(low, first), max(high, last)


def mean_above_floor(evidence: Evidence) -> Value:
    """Mean top-1 similarity of the generated images minus that of the held-out images."""
    if not len(evidence.floor):
        return "no held-out images"
    if not len(evidence.top1):
        return "no images"
    return float(evidence.top1.mean(dtype=np.float64) - evidence.floor.mean(dtype=np.float64))


def distinct_copied(evidence: Evidence) -> Value:
    """Share of the training images that are the nearest one of a generation above 0.5."""
    if not len(evidence.train):
        return "no images"
    return len(set(evidence.nearest[evidence.top1 > 0.5].tolist())) / len(evidence.train)


def reduction(r: float, r_reference: float) -> Value:
    """1 - R / R_reference; a reason where the reference is not positive."""
    return 1 - r / r_reference if r_reference > 0 else f"the reference's R is {r_reference:.3f}"


def reduction_floor(r: float, r_reference: float, floor: float) -> Value:
    """1 - (R - floor) / (R_reference - floor); a reason where the reference does not exceed the floor."""
    if r_reference <= floor:
        return f"the reference's R ({r_reference:.3f}) does not exceed the floor ({floor:.3f})"
    return 1 - (r - floor) / (r_reference - floor)


def unstable(rows: Callable[[Evidence], Floats], q: float, evidence: Evidence) -> str | None:
    """A warning where fewer than ``TAIL_ROWS`` rows lie above the percentile."""
    # multiplied first: 100 * (1 - 90 / 100) is a little less than 10
    above = int(len(rows(evidence)) * (100 - q) / 100)
    return f"unstable: {above} rows above" if above < TAIL_ROWS else None


def quantile_note(evidence: Evidence) -> str | None:
    """Which quantile the calibrated threshold is."""
    found = calibrate(evidence.floor)
    return (
        None
        if isinstance(found, str)
        else f"quantile {found.quantile:.3f} of {len(evidence.floor)} held-out images"
    )


def rows_of(name: str) -> Callable[[Evidence], Floats]:
    """The similarities called ``name``."""
    return lambda evidence: getattr(evidence, name)


def percentile_of(name: str, rows: str, better: Direction, source: str, q: float) -> Metric:
    """The q-th percentile of one set of similarities."""
    of = rows_of(rows)
    return Metric(
        name,
        "cosine",
        better,
        lambda e: percentile(of(e), q),
        source,
        lambda e: len(of(e)),
        note=partial(unstable, of, q),
    )


def percentiles(
    prefix: str, rows: str, better: Direction, source: str, qs: Iterable[int]
) -> Iterable[Metric]:
    """``<prefix>_<q>pc`` for each q."""
    return (percentile_of(f"{prefix}_{q}pc", rows, better, source, q) for q in qs)


def anchor_mean(name: str, rows: str, better: Direction, source: str) -> Metric:
    """The mean of one set of similarities."""
    of = rows_of(rows)
    return Metric(name, "cosine", better, lambda e: mean(of(e)), source, lambda e: len(of(e)))


def share(name: str, rows: str, limit: float, better: Direction, source: str) -> Metric:
    """The share of one set of similarities strictly above ``limit``."""
    of = rows_of(rows)
    return Metric(
        name,
        "share",
        better,
        lambda e: share_above(of(e), limit),
        source,
        lambda e: len(of(e)),
        interval="wilson",
    )


def generated(evidence: Evidence) -> int:
    """Number of generated images."""
    return len(evidence.top1)


def std(rows: Floats) -> Value:
    """The population standard deviation."""
    return float(rows.std(dtype=np.float64)) if len(rows) else "no images"


METRICS: tuple[Metric, ...] = (
    # R is our reading: the paper's printed definition is unknown; the DCR lineage reports the 95th percentile.
    percentile_of("R", "top1", "down", ANCHORS, 95),
    Metric("r_star", "ratio", "zero", r_star, ANCHORS, generated),
    anchor_mean("sim_mean", "top1", "down", DCR),
    Metric("sim_std", "cosine", "reference", lambda e: std(e.top1), DCR, generated),
    *percentiles("sim", "top1", "down", DCR, (75, 90, 95)),
    Metric(
        "sim_max",
        "cosine",
        "down",
        lambda e: float(e.top1.max()) if len(e.top1) else "no images",
        "arXiv 2404.00922, section 5",
        generated,
        interval=None,
    ),
    share("sim_gt_05pc", "top1", 0.5, "down", DCR),
    share("sim_gt_075", "top1", 0.75, "down", "facebookresearch/sscd-copy-detection, README"),
    Metric(
        "sim_gt_calibrated",
        "share",
        "down",
        share_above_calibrated,
        ANCHORS,
        generated,
        interval="own",
        own_interval=calibrated_interval,
        note=quantile_note,
    ),
    Metric(
        "distinct_copied", "share", "down", distinct_copied, ANCHORS, lambda e: len(e.train), interval=None
    ),
    Metric("mean_above_floor", "cosine", "down", mean_above_floor, ANCHORS, generated),
    anchor_mean("bg_mean", "background", "reference", DCR),
    Metric("bg_std", "cosine", "reference", lambda e: std(e.background), DCR, lambda e: len(e.background)),
    *percentiles("bg", "background", "reference", DCR, (75, 90, 95)),
    anchor_mean("floor_mean", "floor", "reference", ANCHORS),
    *percentiles("floor", "floor", "reference", ANCHORS, (95,)),
    share("floor_gt_05pc", "floor", 0.5, "reference", ANCHORS),
    anchor_mean("ceiling_mean", "ceiling", "reference", ANCHORS),
    *percentiles("ceiling", "ceiling", "reference", ANCHORS, (95,)),
    Metric(
        "threshold", "cosine", "reference", threshold, ANCHORS, lambda e: len(e.floor), note=quantile_note
    ),
)
