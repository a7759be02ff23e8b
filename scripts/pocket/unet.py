"""Train the U-Net and the text encoder of ``pocket`` together on the public drawings, velocity prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn

from pocket import pictures, text
from pocket.average import new_average
from pocket.job import Job, descend
from replication_bench.data.openmoji import OpenMoji

VARIANTS = 6
PEAK_RATE = 1e-3
CAPTION_DROPOUT = 0.1
EMA_DECAY = 0.999


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=12,
        out_channels=12,
        block_out_channels=(48, 96, 128, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=text.WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def new_scheduler() -> DDPMScheduler:
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        steps_offset=1,
        timestep_spacing="leading",
    )


def shifted(image: np.ndarray, rng: np.random.Generator, variant: int) -> np.ndarray:
    """Variant 0 is the drawing itself; the others are moved by up to two pixels."""
    if variant == 0:
        return image
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), constant_values=255)
    y, x = rng.integers(0, 5, 2)
    return padded[y : y + pictures.SIDE, x : x + pictures.SIDE]


@torch.no_grad()
def encode_public(vae: AutoencoderTiny, device: torch.device) -> tuple[list[str], Tensor]:
    """Captions and latents float32 [VARIANTS, n, 12, 16, 16] of the public drawings."""
    public, rng = OpenMoji().load().public, np.random.default_rng(2)
    images = [np.asarray(example.load()) for example in public]
    variants = []
    for variant in range(VARIANTS):
        rows = np.stack([shifted(image, rng, variant) for image in images]).astype(np.float32) / 127.5 - 1
        chunks = torch.from_numpy(rows).permute(0, 3, 1, 2).split(64)
        variants.append(torch.cat([vae.encode(chunk.contiguous().to(device)).latents for chunk in chunks]))
    return [example.captions[0] for example in public], torch.stack(variants)


class Pair(nn.Module):
    """U-Net and text encoder as one module, so that one optimiser and one average hold both."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: nn.Module):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, x_t: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        return self.unet(x_t, t, self.text_encoder(ids)[0]).sample


def tokens(tokenizer, captions: list[str]) -> Tensor:
    return tokenizer(
        captions, padding="max_length", truncation=True, max_length=text.LENGTH, return_tensors="pt"
    ).input_ids


def save(pair: Pair, tokenizer, work: Path) -> None:
    pair.unet.save_pretrained(work / "unet")
    pair.text_encoder.save_pretrained(work / "text_encoder")
    tokenizer.save_pretrained(work / "tokenizer")
    new_scheduler().save_pretrained(work / "scheduler")


class Source:
    """Random rows of the public latents with their tokens; some captions are dropped."""

    def __init__(self, latents: Tensor, ids: Tensor, empty: Tensor, job: Job):
        self.latents, self.ids, self.empty = (rows.to(job.device) for rows in (latents, ids, empty))
        self.job, self.rng, self.scheduler = job, job.rng(0), new_scheduler()

    def integers(self, high: int) -> Tensor:
        return torch.randint(high, (self.job.batch,), generator=self.rng, device=self.job.device)

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x_t, t, tokens and the velocity to predict."""
        rows, t = self.integers(len(self.ids)), self.integers(1000)
        x_0 = self.latents[self.integers(VARIANTS), rows]
        noise = torch.randn(x_0.shape, generator=self.rng, device=self.job.device)
        chance = torch.rand(self.job.batch, 1, generator=self.rng, device=self.job.device)
        ids = torch.where(chance < CAPTION_DROPOUT, self.empty, self.ids[rows])
        x_t = self.scheduler.add_noise(x_0, noise, t).contiguous(memory_format=torch.channels_last)
        return x_t, t, ids, self.scheduler.get_velocity(x_0, noise, t)


def train(work: Path, job: Job) -> None:
    """Train; the averaged weights are saved beside the VAE in ``work``."""
    torch.manual_seed(0)
    captions, latents = encode_public(
        AutoencoderTiny.from_pretrained(work / "vae").eval().to(job.device), job.device
    )
    print("latents mean", latents[0].mean().item(), "std", latents[0].std().item(), flush=True)
    tokenizer = text.new_tokenizer(captions)
    source = Source(latents, tokens(tokenizer, captions), tokens(tokenizer, [""]), job)
    pair = Pair(new_unet(), text.new_text_encoder(tokenizer))
    pair = pair.to(job.device, memory_format=torch.channels_last)
    average = new_average(pair, EMA_DECAY)
    optimiser = torch.optim.AdamW(pair.parameters(), betas=(0.9, 0.99), fused=True)
    for step in job.steps(optimiser, PEAK_RATE):
        x_t, t, ids, velocity = source.draw()
        loss = (pair(x_t, t, ids) - velocity).square().mean()
        descend(loss, pair, optimiser, average)
        job.report("unet", step, loss)
        if step % 500 == 499:
            save(average.module, tokenizer, work)
    save(average.module, tokenizer, work)
