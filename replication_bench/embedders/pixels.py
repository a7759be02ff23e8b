"""Raw pixels as a vector: the space of Carlini's l2 distances (arXiv 2301.13188)."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from torch import Tensor

from replication_bench.embedders.presets import HALF
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.torch_embedder import TorchEmbedder


class Pixels(TorchEmbedder):
    """Raw pixels in [-1, 1], squashed to a square. No 8-bit image is all zero there, so every one has a unit vector.

    Args:
        preset: ``pixels-32`` or ``pixels-64``.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        ConfigError: unknown preset.
    """

    name = "pixels"
    source: ClassVar[str] = "none needed"
    presets = {f"pixels-{side}": {"pixels": side, "mean": HALF, "std": HALF} for side in (32, 64)}  # noqa: RUF012

    def __init__(
        self,
        preset: str = "pixels-64",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 256,
    ):
        settings = self.settings(preset)
        self.place(device, threads, batch_size)
        digest = hashlib.sha256(b"no weights").hexdigest()
        self.start(ImageProtocol(preset, digest, dtype="float32", **settings))

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return pixels.flatten(1)
