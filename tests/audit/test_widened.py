from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from replication_bench.audit import corpus_index
from replication_bench.audit.corpus_index import Widened
from replication_bench.evidence import unit_rows
from replication_bench.search import build_index


def test_stored_rows_are_widened_in_blocks_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(np.random.default_rng(0).standard_normal((10, 4))).astype(np.float16)
    np.save(tmp_path / "vectors.npy", rows)
    index = build_index(tmp_path / "vectors.npy", tmp_path, "exact", protocol={"hash": "x"})
    widths: list[int] = []
    monkeypatch.setattr(corpus_index, "BLOCK", 4)
    monkeypatch.setattr(corpus_index, "unit_rows", lambda part: widths.append(len(part)) or unit_rows(part))
    widened = Widened(index)
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(widened), unit_rows(rows))
    assert widths == [4, 4, 2]
    assert np.asarray(widened).dtype == np.float32
