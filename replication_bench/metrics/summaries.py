"""Numbers of one set of similarities, and their declarations: mean, spread, percentiles, shares above a limit.

Percentiles interpolate linearly, the standard deviation is the population value, a threshold test is strict. A name's
``pc`` means percentile: the values are cosines, not percentages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from replication_bench.metrics.metric import Direction, Evidence, Floats, Metric, Value
from replication_bench.statistics.calibration import TAIL_ROWS

EMPTY = {
    "floor": "no held-out images",
    "ceiling": "no backbone, so no ceiling",
    "background": "no two training images",
}


def percentile(rows: Floats, q: float) -> Value:
    """The q-th percentile, or the reason why there is none."""
    return float(np.percentile(rows, q)) if len(rows) else "no images"


def mean(rows: Floats) -> Value:
    """The mean, or the reason why there is none."""
    return float(rows.mean(dtype=np.float64)) if len(rows) else "no images"


def std(rows: Floats) -> Value:
    """The population standard deviation."""
    return float(rows.std(dtype=np.float64)) if len(rows) else "no images"


def largest(rows: Floats) -> Value:
    """The largest value, or the reason why there is none."""
    return float(rows.max()) if len(rows) else "no images"


def share_above(rows: Floats, threshold: float) -> Value:
    """Share of rows strictly above ``threshold``, in [0, 1]."""
    return float((rows > threshold).mean()) if len(rows) else "no images"


def unstable(rows: Callable[[Evidence], Floats], q: float, evidence: Evidence) -> str | None:
    """A warning where fewer than ``TAIL_ROWS`` rows lie above the percentile."""
    # multiplied first: 100 * (1 - 90 / 100) is a little less than 10
    above = int(len(rows(evidence)) * (100 - q) / 100)
    return f"unstable: {above} rows above" if above < TAIL_ROWS else None


def rows_of(name: str) -> Callable[[Evidence], Floats]:
    """The similarities called ``name``."""
    return lambda evidence: getattr(evidence, name)


def known(name: str, fn: Callable[[Floats], Value]) -> Callable[[Evidence], Value]:
    """A number of the similarities called ``name``, or which images are missing for it."""
    of = rows_of(name)
    return lambda evidence: fn(of(evidence)) if len(of(evidence)) else EMPTY.get(name, "no images")


def statistic(
    name: str,
    rows: str,
    fn: Callable[[Floats], Value],
    better: Direction,
    source: str,
    everywhere: bool = False,
) -> Metric:
    """A number of one set of similarities."""
    of = rows_of(rows)
    return Metric(
        name, "cosine", better, known(rows, fn), source, lambda e: len(of(e)), everywhere=everywhere
    )


def percentile_of(
    name: str, rows: str, better: Direction, source: str, q: float, role: str = "", everywhere: bool = False
) -> Metric:
    """The q-th percentile of one set of similarities."""
    of = rows_of(rows)
    return Metric(
        name,
        "cosine",
        better,
        known(rows, partial(percentile, q=q)),
        source,
        lambda e: len(of(e)),
        note=partial(unstable, of, q),
        role=role,
        everywhere=everywhere,
    )


def percentiles(
    prefix: str, rows: str, better: Direction, source: str, qs: Iterable[int]
) -> tuple[Metric, ...]:
    """``<prefix>_<q>pc`` for each q."""
    return tuple(percentile_of(f"{prefix}_{q}pc", rows, better, source, q) for q in qs)


def share(name: str, rows: str, limit: float, better: Direction, source: str) -> Metric:
    """The share of one set of similarities strictly above ``limit``."""
    of = rows_of(rows)
    return Metric(
        name,
        "share",
        better,
        known(rows, partial(share_above, threshold=limit)),
        source,
        lambda e: len(of(e)),
        interval="wilson",
    )
