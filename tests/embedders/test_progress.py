from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from replication_bench.embedders.cache import embed_cached
from replication_bench.embedders.protocol import ImageProtocol, Vectors


class Constant:
    """The same unit vector for every image."""

    name, dim, protocol = "constant", 2, ImageProtocol("constant", "none")

    def __call__(self, images: list[Image.Image]) -> Vectors:
        return np.tile(np.array([1, 0], dtype=np.float32), (len(images), 1))


def test_a_bar_ends_full_whether_vectors_are_computed_or_cached(tmp_path: Path) -> None:
    for _ in range(2):
        seen: list[int] = []
        embed_cached(Constant(), lambda i: Image.new("RGB", (4, 4)), ["a", "b", "c"], tmp_path, seen.append)
        assert seen[-1:] == [3]
