"""Train the VAE of ``pocket``: diffusers' AutoencoderTiny, factor 4, 12 latent channels near unit variance.

Loss = L1 + L1 of finite differences (edges are what a copy detector sees) + a pull of every latent channel towards
mean 0 and variance 1, so that the diffusion model needs no scaling. Noise on the latents while training makes the
decoder forgive the small errors of a sampled latent.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch.nn import functional

from pocket import pictures
from pocket.average import new_average

BATCH = 32
LATENT_NOISE = 0.06
EMA_DECAY = 0.995
PEAK_RATE = 2e-3
WIDTH = 32


def new_vae() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * 3,
        decoder_block_out_channels=(WIDTH,) * 3,
        num_encoder_blocks=(0, 2, 4),
        num_decoder_blocks=(4, 2, 1),
        latent_channels=12,
        scaling_factor=1.0,
        force_upcast=False,
    )


def batches(rng: np.random.Generator, count: int):
    """Endless batches float32 [BATCH, 3, 64, 64] in [-1, 1]: half composed drawings, half scenes."""
    drawings, scenes = pictures.drawings_rgba(), pictures.scenes(count, seed=1)
    half = BATCH // 2
    while True:
        under = scenes[rng.integers(len(scenes), size=half)]
        composed = pictures.compose(rng, drawings[rng.integers(len(drawings), size=half)], under)
        plain = scenes[rng.integers(len(scenes), size=half)]
        flips = rng.random(half) < 0.5
        plain[flips] = plain[flips][:, :, ::-1]
        turned = np.rot90(plain, k=int(rng.integers(4)), axes=(1, 2)) if rng.random() < 0.5 else plain
        rows = np.concatenate([composed, turned]).astype(np.float32) / 127.5 - 1
        yield torch.from_numpy(rows).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def edge_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    d = a - b
    return (d[..., 1:, :] - d[..., :-1, :]).abs().mean() + (d[..., 1:] - d[..., :-1]).abs().mean()


def moment_loss(latents: torch.Tensor) -> torch.Tensor:
    """Zero when every channel of the composed half has mean 0 and variance 1 over the batch."""
    flat = latents.transpose(0, 1).flatten(1)
    return flat.mean(1).square().mean() + (flat.std(1) - 1).square().mean()


def loss_of(vae: AutoencoderTiny, images: torch.Tensor) -> torch.Tensor:
    latents = vae.encode(images).latents
    decoded = vae.decode(latents + LATENT_NOISE * torch.randn_like(latents)).sample
    return (
        functional.l1_loss(decoded, images)
        + edge_loss(decoded, images)
        + 0.05 * moment_loss(latents[: BATCH // 2])
    )


def learning_rate(done: float) -> float:
    """Warm-up over 2 %, then half a cosine to zero; ``done`` is the share of the training that is over."""
    return PEAK_RATE * min(done / 0.02, 0.5 * (1 + np.cos(np.pi * done)))


def train(out: Path, seconds: float, scenes: int = 6000, decoder_only: bool = False) -> None:
    """Train for ``seconds`` and save the averaged weights to ``out``.

    ``decoder_only`` continues from ``out`` with a frozen encoder, so that latents that a U-Net has learnt stay valid.
    """
    torch.manual_seed(int(decoder_only))
    vae = AutoencoderTiny.from_pretrained(out) if decoder_only else new_vae()
    vae.encoder.requires_grad_(not decoder_only)
    vae = vae.to(memory_format=torch.channels_last)
    average = new_average(vae, EMA_DECAY)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    source = batches(np.random.default_rng(int(decoder_only)), scenes)
    next(source)
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(done)
        loss = loss_of(vae, next(source))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        average.update_parameters(vae)
        if step % 100 == 0:
            print(f"vae {done:6.1%} images {step * BATCH} loss {loss.item():.4f}", flush=True)
        step += 1
    average.module.save_pretrained(out)
