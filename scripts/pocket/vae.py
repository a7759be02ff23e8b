"""Train the VAE of ``pocket``: diffusers' AutoencoderTiny, factor 4, 12 latent channels near unit variance.

Loss = L1 + L1 of finite differences (edges are what a copy detector sees) + a pull of every latent channel towards
mean 0 and variance 1, so that the diffusion model needs no scaling. Noise on the latents while training makes the
decoder forgive the small errors of a sampled latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn import functional

from pocket import pictures
from pocket.average import new_average
from pocket.job import Job, descend

LATENT_NOISE = 0.06
EMA_DECAY = 0.999
PEAK_RATE = 2e-3
WIDTH = 32
DECODER_WIDTH = 64  # nobody waits for the decoder: it runs once an image, the encoder's latents are cached
SCENES = 20_000


def new_vae() -> AutoencoderTiny:
    return AutoencoderTiny(
        encoder_block_out_channels=(WIDTH,) * 3,
        decoder_block_out_channels=(DECODER_WIDTH,) * 3,
        num_encoder_blocks=(0, 2, 4),
        num_decoder_blocks=(4, 2, 1),
        latent_channels=12,
        scaling_factor=1.0,
        force_upcast=False,
    )


def batches(job: Job) -> Iterator[Tensor]:
    """Endless batches float32 [batch, 3, 64, 64] in [-1, 1]: half composed drawings, half scenes."""
    made = pictures.scenes(SCENES, seed=1)
    scenes = pictures.as_tensor(made, job.device)
    drawings = pictures.as_tensor(pictures.drawings_rgba(), job.device)
    rng, half = job.rng(0), job.batch // 2
    while True:
        composed = pictures.compose(pictures.pick(drawings, half, rng), pictures.pick(scenes, half, rng), rng)
        plain = pictures.turned(pictures.pick(scenes, half, rng), rng)
        rows = torch.cat([composed, plain]) * 2 - 1
        yield rows.contiguous(memory_format=torch.channels_last)


def edge_loss(a: Tensor, b: Tensor) -> Tensor:
    d = a - b
    return (d[..., 1:, :] - d[..., :-1, :]).abs().mean() + (d[..., 1:] - d[..., :-1]).abs().mean()


def moment_loss(latents: Tensor) -> Tensor:
    """Zero when every channel of the composed half has mean 0 and variance 1 over the batch."""
    flat = latents.transpose(0, 1).flatten(1)
    return flat.mean(1).square().mean() + (flat.std(1) - 1).square().mean()


def loss_of(vae: AutoencoderTiny, images: Tensor, rng: torch.Generator) -> Tensor:
    latents = vae.encode(images).latents
    noise = torch.randn(latents.shape, generator=rng, device=latents.device)
    decoded = vae.decode(latents + LATENT_NOISE * noise).sample
    return (
        functional.l1_loss(decoded, images)
        + edge_loss(decoded, images)
        + 0.05 * moment_loss(latents[: len(images) // 2])
    )


def with_new_decoder(folder: Path) -> AutoencoderTiny:
    """A fresh decoder behind the trained, now frozen encoder of ``folder``."""
    vae = new_vae()
    vae.encoder.load_state_dict(AutoencoderTiny.from_pretrained(folder).encoder.state_dict())
    vae.encoder.requires_grad_(False)
    return vae


def train(out: Path, job: Job, decoder_only: bool = False) -> None:
    """Train and save the averaged weights to ``out``.

    ``decoder_only`` keeps the encoder of ``out``, so that latents that a U-Net has learnt stay valid.
    """
    source, rng = batches(job), job.rng(1)
    images = next(source)
    torch.manual_seed(0)
    vae = with_new_decoder(out) if decoder_only else new_vae()
    vae = vae.to(job.device, memory_format=torch.channels_last)
    average = new_average(vae, EMA_DECAY)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    for step in job.steps(optimiser, PEAK_RATE):
        loss = loss_of(vae, images, rng)
        descend(loss, vae, optimiser, average)
        job.report("vae", step, loss)
        images = next(source)
    average.module.save_pretrained(out)
