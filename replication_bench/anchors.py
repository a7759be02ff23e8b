"""``anchors.parquet``: the similarities that no generated image has a part in, so that reports can draw them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from replication_bench.data.example import Splits
from replication_bench.metrics.metric import Evidence
from replication_bench.store import write_atomic

ANCHORS = "anchors.parquet"


def write_anchors(folder: Path, splits: Splits, evidence: Evidence) -> None:
    """One row an image: ``set`` (background, floor, ceiling), ``id``, ``similarity``; a ceiling row has train's id."""
    sets = {
        "background": (splits.train.ids, evidence.background),
        "floor": (splits.heldout.ids, evidence.floor),
        "ceiling": (splits.train.ids, evidence.ceiling),
    }
    tables = [
        pd.DataFrame({"set": name, "id": ids, "similarity": rows.astype(float)})
        for name, (ids, rows) in sets.items()
        if len(rows)
    ]
    if tables:
        table = pd.concat(tables, ignore_index=True)
        write_atomic(folder / ANCHORS, lambda path: table.to_parquet(path, index=False))
