"""What the checks of a method call its hooks with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from replication_bench.config import TrainConfig
from replication_bench.data.example import Example, Examples
from replication_bench.denoiser import Denoiser, UNetDenoiser
from replication_bench.method import Context, Encoded, Method, Stage
from replication_bench.testing.tiny import picture

ROWS = 4


class CheckFailed(AssertionError):  # noqa: N818 - a failed assertion, as its base is
    """A method breaks the contract; the message names the check and what was seen."""


def expect(condition: object, message: str) -> None:
    """Raise CheckFailed with ``message`` unless ``condition`` holds."""
    if not condition:
        raise CheckFailed(message)


def generator(seed: int = 0) -> torch.Generator:
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def example(index: int) -> Example:
    """A drawn picture as an example."""
    image, caption = picture(np.random.default_rng(index))
    return Example(f"{index:04d}", (caption, f"another {caption}"), image.copy, sha256=f"{index:064x}")


@dataclass(frozen=True)
class Case:
    """A method, and what its hooks are called with.

    Attributes:
        method: the method under test.
        backbone: an object with ``unet, vae, text_encoder, tokenizer, scheduler``.
    """

    method: Method
    backbone: Any

    @property
    def num_timesteps(self) -> int:
        """T of the scheduler."""
        return int(self.backbone.scheduler.config.num_train_timesteps)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The method's stages."""
        return self.method.stages(self.num_timesteps)

    @cached_property
    def examples(self) -> Examples:
        """``ROWS`` drawn pictures."""
        return Examples(tuple(example(index) for index in range(ROWS)))

    @property
    def ctx(self) -> Context:
        """A context with the first captions as prompts."""
        return Context(self.backbone, TrainConfig(), tuple(item.captions[0] for item in self.examples))

    def noise(self, seed: int) -> Tensor:
        """Latents of unit variance, float [ROWS, c, h, w]."""
        config = self.backbone.unet.config
        return torch.randn(ROWS, config.in_channels, *2 * (config.sample_size,), generator=generator(seed))

    def cond(self, seed: int) -> Tensor:
        """Random text states, float [ROWS, 8, width]."""
        width = self.backbone.unet.config.cross_attention_dim
        return torch.randn(ROWS, 8, width, generator=generator(seed))

    @property
    def encoded(self) -> Encoded:
        """Random latents and text states of ``ROWS`` rows."""
        return Encoded(self.noise(1), self.cond(2))

    def network(self, stage: Stage, seed: int) -> nn.Module:
        """The network of ``stage`` with all its registered floating-point weights moved, as by training."""
        module = self.method.build(self.backbone, stage)
        rng = generator(seed)
        with torch.no_grad():
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.add_(torch.randn(tensor.shape, generator=rng), alpha=0.02)
        return module

    def networks(self) -> list[nn.Module]:
        """One network a stage, all different."""
        return [self.network(stage, seed) for seed, stage in enumerate(self.stages)]

    def loss(self, module: nn.Module, stage: Stage, step: int = 0) -> Tensor:
        """The method's loss of one training step, as the harness computes it."""
        t = self.method.timesteps(ROWS, stage, generator(step))
        denoiser = UNetDenoiser(module)
        return self.method.loss(denoiser, self.encoded, t, self.noise(3 + step), self.backbone.scheduler)

    def predict(self, denoiser: Denoiser) -> Tensor:
        """A prediction for rows of unequal timesteps, without gradients; float [ROWS, c, h, w]."""
        with torch.no_grad():
            return denoiser(self.noise(7), self.border_timesteps(), self.cond(8))

    def border_timesteps(self) -> Tensor:
        """The first and the last timestep of the outermost stages, unsorted: int64 [ROWS]."""
        first, last = self.stages[0], self.stages[-1]
        return torch.tensor([last.stop - 1, first.start, last.start, first.stop - 1])


def load_parts(folder: str | Path) -> SimpleNamespace:
    """The parts of a Stable Diffusion folder: ``unet, vae, text_encoder, tokenizer, scheduler``."""
    from diffusers import StableDiffusionPipeline

    loader: Any = StableDiffusionPipeline
    pipeline = loader.from_pretrained(folder, safety_checker=None)
    names = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
    return SimpleNamespace(**{name: getattr(pipeline, name) for name in names})
