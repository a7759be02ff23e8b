"""What every hook of a case is handed, and how a change of it in place is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from replication_bench.data.example import Examples
from replication_bench.method import Batch, Context
from replication_bench.seeds import Seeds
from replication_bench.testing.case import ROWS, Case, generator


def hook_arguments(case: Case) -> dict[str, tuple[Any, ...]]:
    """Arguments for every hook that is handed data."""
    examples, first = tuple(case.examples), case.examples[0]
    networks = case.networks()
    ctx = replace(case.ctx, networks=tuple(networks))
    denoiser = case.denoiser(networks)
    t, rngs = case.border_timesteps(), [generator(row) for row in range(ROWS)]
    image = torch.rand(3, 32, 32, generator=generator()) * 2 - 1
    return {
        "dataset": (case.examples, ctx),
        "caption": (first.captions[0], first, np.random.default_rng(0)),
        "image": (image, generator()),
        "encode": (case.encoded, Batch(examples, ctx.samples.prompts), ctx, generator()),
        "build": (case.backbone, case.stages[0]),
        "order": (len(case.examples), 0, ROWS, Seeds(0)),
        "loss": (denoiser, case.encoded, t, case.noise(3), ctx),
        "denoiser": (networks,),
        "wrap": (denoiser, ctx),
        "prompt": (first.captions[0], np.random.default_rng(0)),
        "condition": (case.states, denoiser, ctx, rngs),
        "initial": (case.noise(5), denoiser, case.states, ctx, rngs),
        "guide": (denoiser, case.noise(5), t, case.states, 3.0, ctx),
        "facts": ((), case.examples, ctx),
    }


def copies(value: Any) -> list[Any]:
    """Comparable copies of everything in ``value`` that a hook could change in place."""
    if isinstance(value, Tensor):
        return [value.detach().clone()]
    if isinstance(value, nn.Module):
        return copies(list(value.state_dict().values()))
    if isinstance(value, Examples):
        return [value.items]
    if isinstance(value, Context):
        return [
            value.samples.prompts,
            *copies([value.samples.noise, value.samples.timesteps, value.samples.uncond]),
            *copies([value.backbone.unet, value.backbone.text_encoder, value.backbone.vae]),
        ]
    return [leaf for item in value for leaf in copies(item)] if isinstance(value, list | tuple) else []


def same(left: Any, right: Any) -> bool:
    """Whether two leaves of ``copies`` are equal."""
    return torch.equal(left, right) if isinstance(left, Tensor) else bool(left == right)
