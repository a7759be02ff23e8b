"""A quick embedder and pictures for the tests of the audit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from replication_bench.embedders.protocol import ImageProtocol

Command = Callable[..., tuple[int, str, str]]


class Quick:
    """Colours of a 4 x 4 grid around grey as a unit vector; counts what it was given."""

    name = "sscd"
    dim = 48
    seen: int = 0
    batches: int = 0

    def __init__(self, pixels: int = 4) -> None:
        self.protocol = ImageProtocol(name=f"quick-{pixels}", weights_sha256="0" * 64, pixels=pixels)

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        Quick.seen += len(images)
        Quick.batches += 1
        assert all(image.mode == "RGB" for image in images)
        small = [image.resize((4, 4), Image.Resampling.BOX) for image in images]
        rows = np.stack([np.asarray(image, np.float32).ravel() for image in small]) - 127.3
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def noise(seed: object, side: int = 8) -> Image.Image:
    """A picture of its own for every seed."""
    number = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:4], "big")
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.NEAREST)


def fill(folder: Path, names: Sequence[str], prefix: str = "") -> Path:
    """A folder of pictures, each made from its name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(prefix + name).save(path)
    return folder
