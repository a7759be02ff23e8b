"""A threshold from held-out images, and how often it calls an innocent image a copy."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.statistics.intervals import wilson_interval

Floats = NDArray[np.float32]
TAIL_ROWS = 10
RATE = 0.01
PUBLISHED = 0.75
PUBLISHED_WEIGHTS = "disc_mixup"
PUBLISHED_FOR = ("sscd-official-288", "sscd-official-320")


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


class CopyThreshold(NamedTuple):
    """The similarity above which an image is called a copy, and the reason for it."""

    value: float
    rule: str


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


def innocent_limit(floor: Floats, rate: float = RATE) -> tuple[float, int]:
    """The smallest held-out similarity that a new innocent image exceeds with a probability of at most ``rate``.

    Split-conformal: held-out images and a new innocent one are alike in distribution, so each place of the new one
    among them is equally likely, and it lies above the k-th smallest of n with probability at most 1 - k / (n + 1)
    (Vovk, Gammerman and Shafer 2005; arXiv 2107.07511, section 1). Where n is too small for ``rate`` it is the largest.

    Args:
        floor: similarity of each held-out image to its nearest training image, float [h], at least one.
        rate: of innocent images that may lie above.

    Returns:
        The similarity, and k.
    """
    k = min(len(floor), math.ceil(round((len(floor) + 1) * (1 - rate), 9)))
    return float(np.sort(floor)[k - 1]), k


def largest_rate(n: int, k: int, confidence: float = 0.95) -> float:
    """Which share of innocent images lies above the k-th smallest of n at most, with ``confidence`` (Beta quantile)."""
    from scipy.stats import beta  # type: ignore[import-untyped]

    return float(beta.ppf(confidence, n + 1 - k, k))


def published_basis(embedder: str = "", protocol: str = "", trained: str = "") -> str:
    """What 0.75 rests on in an embedder's space: SSCD's README states it for ``disc_mixup`` at its own preprocessing.

    Args:
        embedder: its name; empty where it is not known, as of feature arrays.
        protocol: name of its protocol.
        trained: which published weights it has; see ``embedders.protocol.trained_as``.
    """
    if trained == PUBLISHED_WEIGHTS and protocol in PUBLISHED_FOR:
        return "published for SSCD disc_mixup"
    space = f"{embedder}, {protocol}" if embedder and protocol else embedder or "this embedder"
    return f"published for SSCD disc_mixup at 288 or 320 px, without basis for {space}"


def copy_threshold(
    floor: Floats, fixed: float = PUBLISHED, origin: str | None = None, hint: str = ""
) -> CopyThreshold:
    """The similarity above which an image is called a copy: at most one innocent image in a hundred lies above it.

    About a hundred held-out images are enough for that (see ``innocent_limit``). With fewer, the largest of their
    similarities may only raise ``fixed``: 0.75, at which SSCD's authors measured 90 % precision of ``disc_mixup``
    (facebookresearch/sscd-copy-detection, README).

    Args:
        floor: similarity of each held-out image to its nearest training image, [h]; may be empty.
        fixed: the threshold without enough held-out images.
        origin: where ``fixed`` is from; None for ``published_basis`` of an unknown embedder.
        hint: how to give held-out images, where it is not calibrated.
    """
    n, origin = len(floor), origin or published_basis()
    more = f"; {hint}" if hint else ""
    if not n:
        return CopyThreshold(fixed, f"{fixed} ({origin}), not calibrated: no held-out images{more}")
    limit, k = innocent_limit(floor)
    expected = (n + 1 - k) / (n + 1)
    rates = (
        f"of innocent images at most {expected:.1%} lie above on average, "
        f"{largest_rate(n, k):.1%} with 95 % confidence; {n} held-out images"
    )
    if expected <= RATE:
        return CopyThreshold(limit, f"calibrated: {rates}")
    if limit > fixed:
        return CopyThreshold(limit, f"calibrated, since it is above {fixed}: {rates}")
    return CopyThreshold(
        fixed,
        f"{fixed} ({origin}), not calibrated: "
        f"{n} held-out images cannot calibrate to 1 %, which needs 99{more}",
    )
