"""What a metric is: a declared name, unit, direction and source around a pure function of evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Evidence:
    """Everything a metric may look at: unit vectors and top-1 similarities, float32.

    Attributes:
        generated: vectors [g, d] of the generated images.
        train: vectors [t, d].
        heldout: vectors [h, d]; empty [0, d] where there is no held-out split.
        top1: similarity of each generated image to its nearest training image, [g].
        nearest: which training image that is, int64 [g].
        background: similarity of each training image to its nearest other one, self excluded by id, [t].
        floor: similarity of each held-out image to its nearest training image, [h].
        ceiling: similarity of each training image's VAE round trip to its nearest training image, [t]; empty
            where there is no backbone.
    """

    generated: Floats
    train: Floats
    heldout: Floats
    top1: Floats
    nearest: NDArray[np.int64]
    background: Floats
    floor: Floats
    ceiling: Floats

    def resample(self, rng: np.random.Generator) -> Evidence:
        """A bootstrap draw: rows of every set drawn with replacement, rows that belong together kept together."""
        g, h, t, c = (
            rng.integers(len(rows), size=len(rows)) if len(rows) else np.zeros(0, dtype=np.int64)
            for rows in (self.top1, self.floor, self.background, self.ceiling)
        )
        return replace(
            self,
            generated=self.generated[g],
            heldout=self.heldout[h],
            top1=self.top1[g],
            nearest=self.nearest[g],
            floor=self.floor[h],
            background=self.background[t],
            ceiling=self.ceiling[c],
        )


Value = float | str  # a number, or the reason why there is none


@dataclass(frozen=True)
class Metric:
    """One declared metric.

    Attributes:
        name: the key in results.
        unit: ``cosine``, ``share``, ``count``, ...
        better: the direction that is good.
        fn: evidence -> value, or the reason for its absence.
        source: paper and equation, or repository and file, of the definition.
        n: evidence -> number of rows the value rests on.
        interval: ``bootstrap`` over the rows of every set, ``wilson`` for a share of ``n``, ``own`` where the metric
            computes it (``own_interval``), or None.
        note: evidence -> a warning that belongs beside the number, or None.
    """

    name: str
    unit: str
    better: Literal["up", "down", "zero", "reference"]
    fn: Callable[[Evidence], Value]
    source: str
    n: Callable[[Evidence], int]
    interval: Literal["bootstrap", "wilson", "own"] | None = "bootstrap"
    own_interval: Callable[[Evidence, np.random.Generator, int, float], tuple[float, float]] | None = None
    note: Callable[[Evidence], str | None] = lambda evidence: None
