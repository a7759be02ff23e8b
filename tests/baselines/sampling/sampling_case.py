"""A batch of samples on the tiny backbone, sampled as the harness does, with the rows counted."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.method import Conditioning, Context, Method, SampleBatch
from replication_bench.networks import ready_to_sample
from replication_bench.sampling import Sample, Sampler
from replication_bench.seeds import Seeds
from replication_bench.testing.case import example

EXAMPLES = Examples(tuple(example(index) for index in range(6)))


def networks(backbone: Backbone, method: Method, shift: float = 0.05) -> list[nn.Module]:
    """One network a stage with weights of its own: a random U-Net hardly heeds its text."""
    built = []
    for index, stage in enumerate(method.stages(backbone.num_timesteps)):
        with Seeds(0).ambient("build", stage.name):
            network = method.build(backbone, stage)
        rng = torch.Generator().manual_seed(index)
        for parameter in network.parameters():
            parameter.data.add_(torch.randn(parameter.shape, generator=rng), alpha=shift)
        built.append(network.requires_grad_(False).eval())
    return built


def sampler(
    backbone: Backbone,
    method: Method,
    steps: int = 4,
    scale: float = 3.0,
    training: Examples | None = EXAMPLES,
    speed: Mapping[str, Any] | None = None,
    **context: Any,
) -> Sampler:
    """A sampler of ``method`` on networks as above; ``speed`` holds keys of ``SampleSpeed``."""
    config = SampleConfig(steps=steps, guidance_scale=scale, **(speed or {}))
    built = ready_to_sample(networks(backbone, method), config, torch.device("cpu"))
    ctx = Context(backbone, TrainConfig(), config, Seeds(0), training=training, networks=built, **context)
    with Seeds(0).ambient("denoiser"):
        denoiser = method.denoiser(built)
    return Sampler(method, denoiser, ctx, config, Seeds(0))


def samples(indices: Sequence[int]) -> list[Sample]:
    return [Sample(index, EXAMPLES[index % len(EXAMPLES)].captions[0]) for index in indices]


def latents(run: Sampler, indices: Sequence[int] = range(3)) -> Tensor:
    """The final latents of the samples with these indices, as one batch."""
    batch = samples(indices)
    return run.latents(batch, tuple(sample.caption for sample in batch))


def rows_an_image(run: Sampler, indices: Sequence[int] = range(3)) -> float:
    """Rows through the network an image."""
    before = run.counter.rows
    latents(run, indices)
    return (run.counter.rows - before) / len(indices)


def batch_context(run: Sampler, indices: Sequence[int] = range(3)) -> tuple[Context, Conditioning]:
    """What hooks are given for these samples before the first step."""
    backbone, batch = run.ctx.backbone, samples(indices)
    prompts = tuple(sample.caption for sample in batch)
    rngs = [run.seeds.torch("sample", sample.index) for sample in batch]
    noise = torch.stack([torch.randn(backbone.latent_shape, generator=rng) for rng in rngs])
    states = Conditioning(backbone.encode_text(prompts), backbone.encode_text([""]).repeat(len(batch), 1, 1))
    samples_at_hand = SampleBatch(prompts, noise, torch.tensor([901, 601, 301, 1]), 3.0, states.uncond)
    return replace(run.ctx, batch=samples_at_hand), states


def eps_backbone(backbone: Backbone) -> Backbone:
    """The same backbone with a scheduler of noise prediction."""
    twin = copy.copy(backbone)
    twin.scheduler = type(backbone.scheduler).from_config(
        backbone.scheduler.config, prediction_type="epsilon"
    )
    return twin
