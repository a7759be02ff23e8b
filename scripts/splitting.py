"""What the scripts that choose a committed split share: which images, in which order, in which file.

Images are picked one by one, always the one whose neighbours above LIMIT are fewest, and its neighbours are left out
of every split. So no image of one split has a neighbour above LIMIT in another; LIMIT is below the promised 0.5
because int8 arithmetic differs a little between processors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIMIT = 0.48
DATA = Path(__file__).parent.parent / "replication_bench" / "data"
Similarity = NDArray[np.float32]


def choose_isolated(similarity: Similarity, count: int) -> tuple[list[int], NDArray[np.bool_]]:
    """Rows with no chosen neighbour above LIMIT, and a mask [n] of rows that neighbour a chosen one.

    Raises:
        ValueError: the greedy choice ends before ``count`` rows.
    """
    near = similarity > LIMIT
    np.fill_diagonal(near, False)
    candidate = np.ones(len(near), dtype=bool)
    left_out = np.zeros(len(near), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < count:
        if not candidate.any():
            raise ValueError(f"only {len(chosen)} of {count} rows are isolated above {LIMIT}")
        cost = np.where(candidate, (near & ~left_out).sum(axis=1), len(near) + 1)
        best = int(cost.argmin())
        chosen.append(best)
        left_out |= near[best]
        candidate &= ~near[best]
        candidate[best] = False
    return chosen, left_out


def hash_order(id: str) -> str:
    """Sort key that mixes ids the same way everywhere."""
    return hashlib.sha256(id.encode()).hexdigest()


def write_split(
    name: str, source: str, ids: Sequence[str], similarity: Similarity, train: int, heldout: int
) -> None:
    """Choose ``train`` + ``heldout`` of ``ids`` and write ``<name>_split.json``; print the counts."""
    chosen, left_out = choose_isolated(similarity, train + heldout)
    shuffled = sorted((ids[i] for i in chosen), key=hash_order)
    split = {
        "about": f"made by scripts/split_{name}.py: {source}, limit {LIMIT}",
        "splits": {
            "train": shuffled[:train],
            "heldout": shuffled[train:],
            "left_out": [ids[i] for i in np.flatnonzero(left_out).tolist()],
        },
    }
    (DATA / f"{name}_split.json").write_text(json.dumps(split, indent=1) + "\n", encoding="utf-8")
    public = len(ids) - len(chosen) - int(left_out.sum())
    print(f"train {train}, heldout {heldout}, left out {int(left_out.sum())}, public {public}")
