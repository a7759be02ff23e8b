"""A threshold from held-out images, and how often it calls an innocent image a copy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.statistics.intervals import wilson_interval

Floats = NDArray[np.float32]
TAIL_ROWS = 10


class Calibration(NamedTuple):
    """A threshold with the quantile of held-out similarities that it is."""

    threshold: float
    quantile: float


class FalsePositives(NamedTuple):
    """Share of held-out images above a threshold that was set without them, with Wilson's interval."""

    rate: float
    low: float
    high: float
    n: int


def cut(rows: Floats, above: int) -> tuple[float, int] | None:
    """The highest value of sorted ``rows`` with at least ``above`` rows strictly above it, and the rows up to it."""
    below = int(np.searchsorted(rows, rows[-above]))
    return (float(rows[below - 1]), below) if below else None


def calibrate(floor: Floats) -> Calibration | str:
    """The highest quantile of held-out-to-train similarity with at least ``TAIL_ROWS`` rows above it, or why not.

    Above is strict, so that equal similarities (duplicates among the held-out images) push the threshold down.
    """
    if len(floor) < 2 * TAIL_ROWS:
        return f"needs at least {2 * TAIL_ROWS} held-out images, got {len(floor)}"
    found = cut(np.sort(floor), TAIL_ROWS)
    if found is None:
        return f"the {len(floor)} held-out similarities are too equal to leave a threshold below {TAIL_ROWS} of them"
    return Calibration(found[0], found[1] / len(floor))


def false_positives(floor: Floats, confidence: float = 0.95, seed: int = 0) -> FalsePositives | str:
    """How often the calibrated threshold is exceeded by held-out images that did not set it, or why unknown.

    The held-out images are split in two at random. Each half is tested against the threshold that the other half
    gives at the same quantile, so every image is tested once and none against itself.

    Args:
        floor: similarity of each held-out image to its nearest training image, float [h].
        confidence: of Wilson's interval.
        seed: of the split.
    """
    found = calibrate(floor)
    if isinstance(found, str):
        return found
    order = np.random.default_rng(seed).permutation(len(floor))
    halves = floor[order[::2]], floor[order[1::2]]
    hits = 0
    for setting, tested in (halves, halves[::-1]):
        above = max(1, round((1 - found.quantile) * len(setting)))
        limit = cut(np.sort(setting), above)
        if limit is None:
            return "the halves of the held-out similarities are too equal to leave a threshold"
        hits += int((tested > limit[0]).sum())
    rate = hits / len(floor)
    return FalsePositives(rate, *wilson_interval(rate, len(floor), confidence), len(floor))
