"""The split: near-duplicates on one side, the same on every machine, and not computed twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from drawn import encoded, noise
from PIL import Image
from web import sha256

from replication_bench.data.laion import heldout
from replication_bench.data.laion.download import Fetched
from replication_bench.data.laion.heldout import hold_out
from replication_bench.data.laion.manifest import HELDOUT, TRAIN, Row
from replication_bench.data.laion.request import Preparation
from replication_bench.embedders.pixels import Pixels
from replication_bench.testing.tiny import near_duplicate

PAIRS = 16


def made() -> tuple[list[Row], dict[str, Fetched]]:
    """Pairs of near-duplicates, rows i and i + PAIRS, and a dead link."""
    rng = np.random.default_rng(0)
    files = [encoded(noise(i, 32)) for i in range(PAIRS)]
    files += [encoded(near_duplicate(noise(i, 32), rng)) for i in range(PAIRS)]
    rows = [Row(f"{i:09d}", "http://x", "c", sha256(data), extension="png") for i, data in enumerate(files)]
    images = {row.id: Fetched(lambda data=data: data) for row, data in zip(rows, files, strict=True)}
    return [*rows, Row("000000099", "http://x", "c", reason="dead")], images


def split(embedder: Pixels | None, backwards: bool = False) -> list[str]:
    rows, images = made()
    asked = Preparation(heldout_share=0.3)
    ordered: Sequence[Row] = rows[::-1] if backwards else rows
    found = hold_out(ordered, images, asked, embedder, lambda name, total: lambda done: None)
    return [row.split for row in sorted(found, key=lambda row: row.id)]


def test_near_duplicates_are_on_one_side() -> None:
    found = split(Pixels())
    assert found[:PAIRS] == found[PAIRS : 2 * PAIRS]
    assert found[:PAIRS].count(HELDOUT) == round(0.3 * PAIRS)
    assert set(found[: 2 * PAIRS]) == {TRAIN, HELDOUT}
    assert found[-1] == ""
    alone = split(None)
    assert alone[:PAIRS] != alone[PAIRS : 2 * PAIRS]


def test_the_split_belongs_to_the_content_alone() -> None:
    assert split(Pixels()) == split(Pixels(), backwards=True)


def test_an_interrupted_embedding_goes_on_at_its_last_chunk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: str
) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(heldout, "CHUNK", 8)
    seen: list[int] = []

    class Stops(Pixels):
        left = 2

        def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            seen.append(len(images))
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        split(Stops())
    assert seen == [8, 8]
    Stops.left = 9
    assert split(Stops()) == split(Pixels())
    assert seen == [8, 8, 8, 8]
