"""Prompts to images over diffusers' schedulers: one random stream an image, resumed by whole batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from replication_bench.acceleration import sent
from replication_bench.backbone import Backbone, to_images
from replication_bench.config import SampleConfig
from replication_bench.data.example import Examples
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.method import Conditioning, Context, Method, SampleBatch
from replication_bench.processes import ALONE, Processes
from replication_bench.seeds import Seeds
from replication_bench.store import write_atomic, write_json


@dataclass(frozen=True)
class Sample:
    """One image to generate: its id (and file stem), and the caption that prompts it."""

    index: int
    caption: str

    @property
    def id(self) -> str:
        """Five digits, the name of the PNG."""
        return f"{self.index:05d}"


def plan(data: Examples, count: int) -> tuple[Sample, ...]:
    """Training captions in order, cycled: the i-th sample takes the first caption of example i mod n."""
    return tuple(Sample(i, data[i % len(data)].captions[0]) for i in range(count))


def new_scheduler(backbone: Backbone, config: SampleConfig) -> Any:
    """The sampling scheduler, with the backbone's noise schedule, deterministic given the initial noise."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    classes = {"ddim": DDIMScheduler, "dpm++": DPMSolverMultistepScheduler}
    scheduler = classes[config.scheduler].from_config(backbone.scheduler.config, clip_sample=False)
    scheduler.set_timesteps(config.steps)
    return scheduler


def check_steps(backbone: Backbone, config: SampleConfig) -> None:
    """Whether the noise schedule has as many timesteps as are asked for.

    Raises:
        ConfigError: it has fewer.
    """
    if config.steps > backbone.num_timesteps:
        raise ConfigError(
            "more steps than timesteps",
            where="sample.steps",
            got=config.steps,
            want=f"at most {backbone.num_timesteps}",
        )


class CountingDenoiser:
    """Counts rows through the network: the honest cost of a sampler."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser, self.rows = denoiser, 0

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``."""
        self.rows += len(x_t)
        return self.denoiser(x_t, t, cond)


class Sampler:
    """Samples one method's denoiser."""

    def __init__(self, method: Method, denoiser: Denoiser, ctx: Context, config: SampleConfig, seeds: Seeds):
        self.method, self.ctx, self.config, self.seeds = method, ctx, config, seeds
        self.counter = CountingDenoiser(denoiser)

    def run(
        self,
        samples: Sequence[Sample],
        folder: Path,
        progress: Callable[[int], None],
        processes: Processes = ALONE,
    ) -> float:
        """Write every sample as ``<id>.png``; returns network calls an image, counted.

        A batch is done when its manifest stands; batches are fixed by the configuration, so that a resumed run
        computes exactly what an unbroken one does. Whole batches are shared out among ``processes``.
        """
        size = self.config.batch_size
        batches = {
            folder / f"batch-{start // size:04d}.json": samples[start : start + size]
            for start in range(0, len(samples), size)
        }
        missing = processes.first(lambda: [path for path in batches if not is_complete(path, folder)])
        done = len(samples) - sum(len(batches[path]) for path in missing)
        progress(done)
        processes.share(
            missing,
            lambda path: self.write(batches[path], folder, path),
            lambda count: progress(done + sum(len(batches[path]) for path in missing[:count])),
        )
        rows = processes.first(lambda: sum(map(network_rows, batches)))
        return rows / len(samples)

    def write(self, batch: Sequence[Sample], folder: Path, manifest: Path) -> None:
        """Generate one batch: the PNGs first, the manifest last.

        Raises:
            WeightsError: the images are no numbers.
        """
        before = self.counter.rows
        prompts = tuple(
            self.method.prompt(sample.caption, self.seeds.numpy("prompt", sample.index)) for sample in batch
        )
        decoded = self.ctx.backbone.decode_latents(self.latents(batch, prompts))
        if not bool(decoded.isfinite().all()):
            raise WeightsError(
                "samples that are not finite",
                where=manifest,
                hint="Did the training diverge? With finite weights, try sample.precision=fp32.",
            )
        images = to_images(decoded)
        for sample, image in zip(batch, images, strict=True):
            write_atomic(folder / f"{sample.id}.png", lambda path, image=image: image.save(path))  # type: ignore[misc]
        entries = [
            {"id": sample.id, "caption": sample.caption, "prompt": prompt}
            for sample, prompt in zip(batch, prompts, strict=True)
        ]
        write_json(manifest, {"samples": entries, "network_rows": self.counter.rows - before})

    @torch.no_grad()
    def latents(self, batch: Sequence[Sample], prompts: tuple[str, ...]) -> Tensor:
        """Denoise one batch; scaled latents float [n, c, h, w]."""
        backbone, method = self.ctx.backbone, self.method
        scheduler = new_scheduler(backbone, self.config)
        rngs = [self.seeds.torch("sample", sample.index) for sample in batch]
        drawn = [torch.randn(backbone.latent_shape, generator=rng) for rng in rngs]
        noise = sent(torch.stack(drawn), backbone.device)
        states = Conditioning(
            backbone.encode_text(prompts), backbone.encode_text([""]).repeat(len(batch), 1, 1)
        )
        ctx = replace(self.ctx, batch=self.describe(prompts, noise, scheduler, states))
        denoiser = method.wrap(self.counter, ctx)
        states = method.condition(states, denoiser, ctx, rngs)
        ctx.samples.uncond = states.uncond
        x_t = method.initial(noise, denoiser, states, ctx, rngs) * scheduler.init_noise_sigma
        for step, on_device in zip(scheduler.timesteps, ctx.samples.timesteps, strict=True):
            t = on_device.expand(len(batch))
            model_input = scheduler.scale_model_input(x_t, step)
            prediction = method.guide(denoiser, model_input, t, states, self.config.guidance_scale, ctx)
            x_t = scheduler.step(prediction, step, x_t, return_dict=False)[0]
        return x_t

    def describe(
        self, prompts: tuple[str, ...], noise: Tensor, scheduler: Any, states: Conditioning
    ) -> SampleBatch:
        """What hooks may know of a batch."""
        timesteps = sent(scheduler.timesteps.long(), noise.device)
        return SampleBatch(prompts, noise, timesteps, self.config.guidance_scale, states.uncond)


def network_rows(manifest: Path) -> int:
    """Rows that went through the network for a batch."""
    rows: int = json.loads(manifest.read_text(encoding="utf-8"))["network_rows"]
    return rows


def is_complete(manifest: Path, folder: Path) -> bool:
    """Whether a batch's manifest stands and all its images are there."""
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))["samples"]
    except (OSError, ValueError, KeyError):
        return False
    return all((folder / f"{entry['id']}.png").is_file() for entry in entries)
