"""The pretrained parts of a text-to-image model behind one object: any diffusers Stable Diffusion 1.x or 2.x.

A backbone is frozen: methods train copies of its U-Net. Nothing here or elsewhere in the harness asks which one it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from replication_bench.acceleration import sent
from replication_bench.errors import ConfigError
from replication_bench.pretrained import load_parts, locate


def weights_sha256(*modules: nn.Module) -> str:
    """SHA-256 over names and values of all weights, in order."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def vae_latents(vae: Any, images: Tensor) -> Tensor:
    """Images float [n, 3, H, W] in [-1, 1] to scaled latents [n, c, h, w]: the posterior's mode; gradients flow."""
    encoded = vae.encode(images)
    latents: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    return (latents - vae_shift(vae)) * vae.config.scaling_factor


def vae_shift(vae: Any) -> float:
    """The VAE's shift; 0 where its format has none."""
    return getattr(vae.config, "shift_factor", None) or 0.0


@dataclass
class Backbone:
    """VAE, text encoder, tokenizer, U-Net and noise scheduler, frozen and in evaluation mode.

    Attributes:
        name: as the user gave it.
        pixels: side of the square images it is used at.
        scheduler: a diffusers ``DDPMScheduler``; its configuration defines T and the prediction type.
    """

    name: str
    vae: Any
    text_encoder: Any
    tokenizer: Any
    unet: Any
    scheduler: Any
    pixels: int

    @classmethod
    def load(cls, name: str, device: str | torch.device = "cpu", pixels: int | None = None) -> Backbone:
        """Load by shipped name, folder, file, hub id or shape of random weights.

        Args:
            name: see ``locate``.
            device: where VAE and text encoder live. The U-Net stays on the CPU: what is trained are copies of it.
            pixels: image side; None for the U-Net's own sample size.

        Raises:
            ConfigError: unknown name, or ``pixels`` that the networks cannot halve often enough.
            WeightsError: weights that cannot be loaded.
        """
        from diffusers import DDPMScheduler

        parts = load_parts(locate(name))
        for module in (parts["vae"], parts["text_encoder"], parts["unet"]):
            module.requires_grad_(False).eval()
        for module in (parts["vae"], parts["text_encoder"]):
            module.to(device)  # of the U-Net only copies compute
        parts["scheduler"] = DDPMScheduler.from_config(parts["scheduler"].config)
        factor = 2 ** (len(parts["vae"].config.block_out_channels) - 1)
        backbone = cls(name=name, pixels=pixels or parts["unet"].config.sample_size * factor, **parts)
        multiple = factor * 2 ** (len(parts["unet"].config.block_out_channels) - 1)
        if backbone.pixels % multiple:
            raise ConfigError(
                "the image side does not fit the networks",
                where="train.pixels",
                got=backbone.pixels,
                want=f"a multiple of {multiple}",
            )
        return backbone

    @property
    def device(self) -> torch.device:
        """Where VAE and text encoder live."""
        device: torch.device = self.vae.device
        return device

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights of VAE, text encoder and U-Net and of the noise schedule."""
        weights = weights_sha256(self.vae, self.text_encoder, self.unet)
        schedule = "".join(
            f"{k}={v};" for k, v in sorted(self.scheduler.config.items()) if not k.startswith("_")
        )
        return hashlib.sha256((weights + schedule).encode()).hexdigest()

    @property
    def num_timesteps(self) -> int:
        """T."""
        return int(self.scheduler.config.num_train_timesteps)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height, width of one latent."""
        side = self.pixels // 2 ** (len(self.vae.config.block_out_channels) - 1)
        return int(self.unet.config.in_channels), side, side

    def to_tensor(self, image: Image.Image) -> Tensor:
        """Short side to ``pixels``, centre crop; float32 [3, H, W] in [-1, 1]."""
        scale = self.pixels / min(image.size)
        if scale != 1:
            size = (
                max(self.pixels, round(image.width * scale)),
                max(self.pixels, round(image.height * scale)),
            )
            image = image.resize(size, Image.Resampling.BICUBIC)
        left, top = (image.width - self.pixels) // 2, (image.height - self.pixels) // 2
        image = image.crop((left, top, left + self.pixels, top + self.pixels))
        return torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)

    @torch.no_grad()
    def encode_images(self, images: Tensor) -> Tensor:
        """Images float [n, 3, H, W] in [-1, 1] to scaled latents [n, c, h, w]; the mode of the VAE's posterior."""
        return vae_latents(self.vae, sent(images, self.device))

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents to images float [n, 3, H, W] around [-1, 1]; gradients flow."""
        unscaled = latents / self.vae.config.scaling_factor + vae_shift(self.vae)
        images: Tensor = self.vae.decode(unscaled).sample
        return images

    @torch.no_grad()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """Scaled latents to images float [n, 3, H, W] in [-1, 1]."""
        return self.decode(latents).clamp(-1, 1)

    @property
    def states_shape(self) -> tuple[int, int]:
        """Length and width of the states of one text."""
        return int(self.tokenizer.model_max_length), int(self.text_encoder.config.hidden_size)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Text states float [n, length, width]; longer texts are cut at the tokenizer's length."""
        tokens = self.tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        states: Tensor = self.text_encoder(sent(tokens.input_ids, self.device))[0]
        return states

    def round_trip(self, images: Sequence[Image.Image], batch: int = 32) -> list[Image.Image]:
        """Every image through the VAE and back: the ceiling of what a copy can score."""
        rows: list[Image.Image] = []
        for start in range(0, len(images), batch):
            tensors = torch.stack([self.to_tensor(image) for image in images[start : start + batch]])
            rows += to_images(self.decode_latents(self.encode_images(tensors)))
        return rows


def to_images(tensor: Tensor) -> list[Image.Image]:
    """Float [n, 3, H, W] in [-1, 1] to 8-bit RGB images."""
    array = ((tensor.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(row) for row in array]
