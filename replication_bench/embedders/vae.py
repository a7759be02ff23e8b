"""The latents of a backbone's VAE as a vector: the space in which a latent diffusion model copies."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from replication_bench.backbone import Backbone, vae_latents, vae_shift, weights_sha256
from replication_bench.embedders.presets import HALF
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.embedders.torch_embedder import TorchEmbedder
from replication_bench.pretrained import locate


class VaeLatents(TorchEmbedder):
    """Scaled VAE latents (the mode of the posterior), flattened.

    Args:
        backbone: ``pocket``, a diffusers Stable Diffusion folder, or a hub id.
        preset: ``backbone``, short side and centre crop at the backbone's own image side.
        pixels: another image side.
        device: None for CUDA where there is one.
        threads: torch's threads; None leaves them as they are.
        batch_size: images a pass.

    Raises:
        ConfigError: unknown backbone or preset, or a side that its networks cannot halve often enough.
        WeightsError: weights that cannot be loaded.
    """

    name = "vae"
    source: ClassVar[str] = "the backbone's: shipped, a folder or a hub id"
    presets = {"backbone": {"resize": "short", "mean": HALF, "std": HALF}}  # noqa: RUF012
    hint = "Give backbone= a shipped backbone, or a folder of a diffusers Stable Diffusion."

    def __init__(
        self,
        backbone: str = "pocket",
        preset: str = "backbone",
        pixels: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 16,
    ):
        settings = self.settings(preset)
        self.place(device, threads, batch_size)
        parts = Backbone.load(backbone, self.device, pixels)
        self.vae, side = parts.vae, parts.pixels
        scale = f"{self.vae.config.scaling_factor} {vae_shift(self.vae)}"
        digest = hashlib.sha256((weights_sha256(self.vae) + scale).encode()).hexdigest()
        label = f"vae-{backbone.rstrip('/').rsplit('/', 1)[-1]}-{side}"
        self.start(ImageProtocol(label, digest, dtype="float32", pixels=side, crop=side, **settings))

    @classmethod
    def weights_found(cls) -> str:
        """See ``TorchEmbedder``."""
        return f"those of the backbone {Path(locate('pocket')).name}"

    def network(self, pixels: Tensor) -> Tensor:
        """See ``TorchEmbedder``."""
        return vae_latents(self.vae, pixels).flatten(1)
