#!/usr/bin/env python3
"""The Frechet distance of feature rows, against the field's usual way.

    python benchmarks/fidelity.py --rows 4000 --dims 256 512 1024
    python benchmarks/fidelity.py --rows 10000 --dims 2048

The usual way (pytorch-fid and its relatives) takes the general matrix square root of the product of the covariances,
again with a small diagonal added where that fails. Both ways get the same made rows, which are correlated as features
are; the table tells by how much the two numbers differ.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from scipy import linalg
from timing import machine, megabytes, race, table

from replication_bench.metrics.frechet import frechet, frechet_distance

CPU = torch.device("cpu")


def made_rows(count: int, dim: int, seed: int) -> np.ndarray:
    """Correlated rows float32 [count, dim] whose variances fall like those of features."""
    mix = np.random.default_rng(dim).standard_normal((dim, dim)) / dim**0.5
    scale = 1 / np.arange(1, dim + 1) ** 0.5
    rows = np.random.default_rng([seed, count]).standard_normal((count, dim)) * scale
    return (rows @ mix + 0.01 * seed).astype(np.float32)


def usual(a: np.ndarray, b: np.ndarray) -> float:
    mean_a, mean_b = a.mean(0, dtype=np.float64), b.mean(0, dtype=np.float64)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b)
    if not np.isfinite(root).all():
        offset = np.eye(len(cov_a)) * 1e-6
        root = linalg.sqrtm((cov_a + offset) @ (cov_b + offset))
    gap = mean_a - mean_b
    return float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root.real))


def compare(rows: int, dim: int, rounds: int) -> list[list[str]]:
    a, b = made_rows(rows, dim, 1), made_rows(rows, dim, 2)
    ways = {
        "matrix root (usual)": lambda: usual(a, b),
        "eigenvalues": lambda: frechet_distance(a, b),
        "with a standard error": lambda: frechet(a, b),
    }
    found = race(ways, CPU, rounds)
    base = found["matrix root (usual)"]
    value = usual(a, b)
    error = abs(frechet_distance(a, b) - value) / value
    table_rows = []
    for name, way in found.items():
        faster = f"{base.seconds / way.seconds:.2f}x"
        size = f"{rows:,} x {dim:,}"
        table_rows.append([size, name, f"{way.seconds:.2f}", faster, megabytes(way.memory), f"{error:.0e}"])
    return table_rows


HEAD = ["rows", "way", "seconds", "faster", "memory, MiB", "relative difference"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--dims", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(machine(CPU))
    print(table(HEAD, [row for dim in asked.dims for row in compare(asked.rows, dim, asked.rounds)]))


if __name__ == "__main__":
    main()
