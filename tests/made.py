"""Evidence made for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from replication_bench.metrics.metric import Evidence, Metric
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def line(**sets: Any) -> Evidence:
    """101 images of each kind with similarities 0, 0.01, ..., 1 and half of that for held-out and background."""
    rows = np.linspace(0, 1, 101, dtype=np.float32)
    flat = np.zeros((101, 4), np.float32)
    base = Evidence(flat, flat, flat, rows, np.arange(101), rows / 2, rows / 2, np.ones(101, np.float32))
    for vectors, rows in (("generated", "top1"), ("heldout", "floor")):
        if rows in sets and vectors not in sets:
            sets[vectors] = np.zeros((len(sets[rows]), 4), np.float32)
    if "top1" in sets and "nearest" not in sets:
        sets["nearest"] = np.arange(len(sets["top1"]))
    return replace(base, **sets)


def measured(metrics: tuple[Metric, ...], evidence: Evidence, resamples: int = 50) -> dict[str, Measurement]:
    found = measure(metrics, evidence, seeds=Seeds(0), resamples=resamples, confidence=0.95)
    return {m.name: m for m in found}
