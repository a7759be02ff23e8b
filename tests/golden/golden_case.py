"""One made case whose numbers independent public implementations agree on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

EXPECTED: dict[str, float] = json.loads((Path(__file__).parent / "expected.json").read_text(encoding="utf-8"))
CHECKSUMS = {"train": -5.332406847483085, "heldout": 58.26619590475106, "generated": 1449.590456320207}
COPIES = 50


def arrays() -> dict[str, np.ndarray]:
    """Seed 0; 50 of the 350 generated rows lie beside the first 50 of 400 training rows."""
    draw = np.random.default_rng(0).standard_normal
    made = {"train": draw((400, 16)), "heldout": draw((300, 16)), "generated": draw((350, 16)) * 0.8 + 0.3}
    made["generated"][:COPIES] = made["train"][:COPIES] + 0.01 * draw((COPIES, 16))
    for name, total in CHECKSUMS.items():
        assert np.isclose(made[name].sum(), total), f"NumPy draws other numbers for {name}"
    return made


def write(folder: Path) -> dict[str, Path]:
    """The three arrays as .npy files."""
    paths = {name: folder / f"{name}.npy" for name in CHECKSUMS}
    for name, rows in arrays().items():
        np.save(paths[name], rows)
    return paths
