"""Which similarity is called a copy: one threshold, one rule, one place."""

from __future__ import annotations

from typing import Literal, NamedTuple

from replication_bench.metrics.metric import Floats
from replication_bench.statistics.calibration import calibrate

Label = Literal["exact", "template", "none"]
PUBLISHED = 0.75
LEAST_QUANTILE = 0.99


class CopyThreshold(NamedTuple):
    """A threshold and the reason for it."""

    value: float
    rule: str


def copy_threshold(floor: Floats) -> CopyThreshold:
    """The similarity above which a generated image is called a copy.

    The calibrated threshold is taken where enough held-out images make it at least their 99 % quantile: a lower
    quantile would call more than one innocent image in a hundred a copy. Below that it may only raise 0.75, at which
    SSCD's authors measured 90 % precision (facebookresearch/sscd-copy-detection, README).

    Args:
        floor: similarity of each held-out image to its nearest training image, [h]; may be empty.
    """
    found = calibrate(floor)
    if isinstance(found, str):
        return CopyThreshold(PUBLISHED, f"{PUBLISHED} as published for SSCD, not calibrated: {found}")
    quantile = f"quantile {found.quantile:.3f} of {len(floor)} held-out images"
    if found.quantile >= LEAST_QUANTILE:
        return CopyThreshold(found.threshold, f"calibrated: {quantile}")
    if found.threshold > PUBLISHED:
        return CopyThreshold(found.threshold, f"calibrated, since it is above {PUBLISHED}: {quantile}")
    return CopyThreshold(PUBLISHED, f"{PUBLISHED} as published for SSCD: calibration reaches only {quantile}")


def label(similarity: float, threshold: float) -> Label:
    """``exact`` where a similarity is above the threshold (strict), else ``none``; template needs pixels."""
    return "exact" if similarity > threshold else "none"
