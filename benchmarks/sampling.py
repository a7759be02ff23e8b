#!/usr/bin/env python3
"""Sampling: routed against one network, and the harness against diffusers' own pipeline at equal images.

    python benchmarks/sampling.py
    python benchmarks/sampling.py --device cuda --backbone random:sd21 --pixels 256 --steps 50 --precision bf16

The field's usual way is the pipeline called with one prompt after the other. All ways start from the same noise, and
the largest difference between the harness's latents and the pipeline's is printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
from case import images_on_disk, new_trainer
from timing import Way, forget, machine, megabytes, peak, race, table
from torch import Tensor

from loyal.method import Dual, Loyal
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig
from replication_bench.data.example import Examples
from replication_bench.method import Method
from replication_bench.networks import DTYPES, parked, ready_to_sample
from replication_bench.sampling import Sample, Sampler, new_scheduler, plan


class Ours:
    """One batch through the harness, up to pixels."""

    def __init__(self, backbone: Backbone, data: Examples, method: Method, config: SampleConfig):
        trainer = new_trainer(backbone, data, method, batch_size=config.samples)
        stages = method.stages(backbone.num_timesteps)
        networks = [parked(trainer.build(stage), config) for stage in stages]
        trainer.ctx.networks = ready_to_sample(networks, config, backbone.device)
        denoiser = method.denoiser(trainer.ctx.networks)
        self.sampler = Sampler(method, denoiser, trainer.ctx, config, trainer.seeds)
        self.batch = plan(data, config.samples)

    def latents(self) -> Tensor:
        return self.sampler.latents(self.batch, tuple(sample.caption for sample in self.batch))

    def __call__(self) -> Tensor:
        return self.sampler.ctx.backbone.decode_latents(self.latents())


class Stock:
    """The same samples through ``StableDiffusionPipeline``, ``at_once`` prompts a call."""

    def __init__(self, ours: Ours, precision: str, at_once: int):
        from diffusers import StableDiffusionPipeline

        backbone, self.config = ours.sampler.ctx.backbone, ours.sampler.config
        self.batch, self.seeds, self.at_once, self.backbone = (
            ours.batch,
            ours.sampler.seeds,
            at_once,
            backbone,
        )
        pipeline: Any = StableDiffusionPipeline
        self.pipe = pipeline(
            vae=backbone.vae,
            text_encoder=backbone.text_encoder,
            tokenizer=backbone.tokenizer,
            unet=new_unet(backbone, precision),
            scheduler=new_scheduler(backbone, self.config),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipe.set_progress_bar_config(disable=True)

    def noise(self, sample: Sample) -> Tensor:
        rng = self.seeds.torch("sample", sample.index)
        return torch.randn(self.backbone.latent_shape, generator=rng)

    def latents(self) -> Tensor:
        return torch.cat(self.run("latent"))

    def __call__(self) -> list[Tensor]:
        return self.run("pt")

    def run(self, kind: str) -> list[Tensor]:
        found = []
        for start in range(0, len(self.batch), self.at_once):
            part = self.batch[start : start + self.at_once]
            found.append(
                self.pipe(
                    [sample.caption for sample in part],
                    num_inference_steps=self.config.steps,
                    guidance_scale=self.config.guidance_scale,
                    latents=torch.stack([self.noise(sample) for sample in part]).to(self.backbone.device),
                    height=self.backbone.pixels,
                    width=self.backbone.pixels,
                    output_type=kind,
                ).images
            )
        return found


def new_unet(backbone: Backbone, precision: str) -> Any:
    """A copy of the U-Net that computes in ``precision`` inside a pipeline whose other parts are float32."""
    unet = Method().build(backbone, Method().stages(1000)[0]).to(backbone.device)
    (ready,) = ready_to_sample(
        [unet], SampleConfig(precision=precision, channels_last=False), backbone.device
    )
    return ready


def speed(backbone: Backbone, data: Examples, config: SampleConfig, rounds: int) -> list[list[str]]:
    """Rows of a table: the networks of a routed method against one, in one race."""
    methods: dict[str, Method] = {"harness": Method(), "dual (two networks)": Dual(), "loyal": Loyal()}
    ways = {name: Ours(backbone, data, method, config) for name, method in methods.items()}
    found = race(ways, backbone.device, rounds)
    return [
        told(found, name, "harness", "seconds", "<= 1.03", config)
        for name in ("dual (two networks)", "loyal")
    ]


def against_pipeline(
    backbone: Backbone, data: Examples, config: SampleConfig, rounds: int
) -> tuple[list[list[str]], float]:
    """Rows of a table, and the largest difference between the harness's latents and the pipeline's."""
    ours = Ours(backbone, data, Method(), config)
    stock = Stock(ours, config.precision, config.samples)
    difference = float((ours.latents() - stock.latents()).abs().max())
    ways: dict[str, Callable[[], object]] = {
        "harness": ours,
        "pipeline, one by one": Stock(ours, config.precision, 1),
        "pipeline, at once": stock,
    }
    found = race(ways, backbone.device, rounds)
    one, all_ = (f"pipeline, {how}" for how in ("one by one", "at once"))
    rows = [
        told(found, "harness", one, "images/s", ">= 1.50 on a GPU", config),
        told(found, "harness", all_, "images/s", "", config),
    ]
    return rows, difference


def told(
    found: dict[str, Way], way: str, base: str, unit: str, target: str, config: SampleConfig
) -> list[str]:
    """A row of the tables."""
    rate, ratio = config.samples / found[way].seconds, found[way].over(found[base])
    shown = ratio if unit == "seconds" else 1 / ratio
    return [way, f"{rate:.2f}", f"{unit} of {base}", f"{shown:.3f}", target, megabytes(found[way].memory)]


def offloaded(backbone: Backbone, data: Examples, config: SampleConfig) -> list[list[str]]:
    """Memory and seconds of ``loyal`` with both networks on the device, and with one."""
    rows, device = [], backbone.device
    for name, offload in (("both networks", False), ("--offload", True)):
        way = Ours(backbone, data, Loyal(), config.model_copy(update={"offload": offload}))
        found = race({name: way}, device, 2)[name]
        rows.append(
            [name, f"{found.seconds:.2f}", megabytes(peak(device) if device.type == "cuda" else None)]
        )
        del way
        forget(device)
    return rows


HEAD = ["way", "images/s", "ratio of", "ratio", "target", "memory, MiB"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backbone", default="random:sd21-mini")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--precision", choices=list(DTYPES), default="fp32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    backbone = Backbone.load(asked.backbone, asked.device, asked.pixels)
    config = SampleConfig(
        samples=asked.batch, steps=asked.steps, guidance_scale=7.5, precision=asked.precision
    )
    print(machine(backbone.device))
    with images_on_disk(asked.batch, 2 * asked.pixels) as data:
        rows, difference = against_pipeline(backbone, data, config, asked.rounds)
        print(table(HEAD, [*speed(backbone, data, config, asked.rounds), *rows]))
        print(f"largest difference between the latents of harness and pipeline: {difference:.1e}")
        if backbone.device.type == "cuda":
            print(table(["loyal", "seconds", "memory held, MiB"], offloaded(backbone, data, config)))


if __name__ == "__main__":
    main()
