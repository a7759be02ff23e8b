"""What the checks of a method call its hooks with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from replication_bench.backbone import Backbone
from replication_bench.config import TrainConfig
from replication_bench.data.example import Example, Examples
from replication_bench.denoiser import Denoiser, UNetDenoiser
from replication_bench.embedders.pixels import Pixels
from replication_bench.embedders.protocol import Vectors
from replication_bench.errors import ReplbenchError
from replication_bench.method import Conditioning, Context, Encoded, Method, SampleBatch, Stage, Step
from replication_bench.seeds import Seeds
from replication_bench.testing.tiny import picture

ROWS = 4


class CannotCheck(ReplbenchError):  # noqa: N818 - beside CheckFailed
    """A check that cannot run here, since something is missing that the subject needs."""


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


@cache
def embedder() -> Pixels:
    """An embedder that needs no weights and gives gradients."""
    return Pixels(preset="pixels-32", device="cpu")


def vectors_of(examples: Examples) -> Vectors:
    """Unit vectors float32 [n, d] of examples under ``embedder``."""
    return embedder()([item.load() for item in examples])


@dataclass(frozen=True)
class Case:
    """A method, and what its hooks are called with.

    Attributes:
        method: the method under test.
        backbone: what it is tested on.
    """

    method: Method
    backbone: Backbone

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
        """A context with the first captions as prompts, other pictures as public ones, and ``embedder``."""
        return Context(
            self.backbone,
            TrainConfig(),
            training=self.examples,
            public=Examples(tuple(example(index) for index in range(ROWS, 2 * ROWS))),
            method=self.method,
            embedder=embedder(),
            vectors=vectors_of,
            batch=self.samples,
        )

    @property
    def samples(self) -> SampleBatch:
        """A batch of samples with the first captions as prompts."""
        prompts = tuple(item.captions[0] for item in self.examples)
        timesteps = torch.tensor([self.num_timesteps - 1, self.num_timesteps // 2, 0])
        return SampleBatch(prompts, self.noise(5), timesteps, 3.0, self.states.uncond)

    @property
    def states(self) -> Conditioning:
        """Random text states of ``ROWS`` samples; the unconditional ones are alike."""
        return Conditioning(self.cond(4), self.cond(6)[:1].repeat(ROWS, 1, 1))

    def noise(self, seed: int) -> Tensor:
        """Latents of unit variance, float [ROWS, c, h, w]."""
        config = self.backbone.unet.config
        return torch.randn(ROWS, config.in_channels, *2 * (config.sample_size,), generator=generator(seed))

    def cond(self, seed: int) -> Tensor:
        """Random text states, float [ROWS, length, width]."""
        shape = (self.backbone.tokenizer.model_max_length, self.backbone.unet.config.cross_attention_dim)
        return torch.randn(ROWS, *shape, generator=generator(seed))

    @property
    def encoded(self) -> Encoded:
        """Random latents and text states of ``ROWS`` rows."""
        return Encoded(self.noise(1), self.cond(2))

    def build(self, stage: Stage, seed: int = 0) -> nn.Module:
        """The network of ``stage`` as the harness builds it in a run of that seed."""
        with Seeds(seed).ambient("build", stage.name):
            return self.method.build(self.backbone, stage)

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        """The denoiser over ``modules`` as the harness makes it."""
        with self.ctx.seeds.ambient("denoiser"):
            return self.method.denoiser(modules)

    def network(self, stage: Stage, seed: int) -> nn.Module:
        """The network of ``stage`` with all its registered floating-point weights moved, as by training."""
        module = self.build(stage)
        rng = generator(seed)
        with torch.no_grad():
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.add_(torch.randn(tensor.shape, generator=rng), alpha=0.02)
        return module

    def networks(self) -> list[nn.Module]:
        """One network a stage, all different."""
        return [self.network(stage, seed) for seed, stage in enumerate(self.stages)]

    def loss(self, module: nn.Module, stage: Stage, step: int = 0, rows: slice = slice(None)) -> Tensor:
        """The method's losses of some rows of one training step, as the harness computes them."""
        t = self.method.timesteps(ROWS, stage, generator(step))[rows]
        encoded = Encoded(*(value[rows] for value in self.encoded))
        return self.method.loss(UNetDenoiser(module), encoded, t, self.noise(3 + step)[rows], self.ctx)

    def step(self, module: nn.Module, stage: Stage, number: int, optimiser: torch.optim.Optimizer) -> Step:
        """One training step of ``module``, as the harness hands it to the hook ``update``."""
        return Step(
            rows=ROWS,
            images=ROWS,
            losses=lambda rows: self.loss(module, stage, number, rows),
            backward=torch.autograd.backward,
            clip=lambda: None,
            optimiser=optimiser,
            rng=generator(number),
        )

    def predict(self, denoiser: Denoiser) -> Tensor:
        """A prediction for rows of unequal timesteps, without gradients; float [ROWS, c, h, w]."""
        with torch.no_grad():
            return denoiser(self.noise(7), self.border_timesteps(), self.cond(8))

    def border_timesteps(self) -> Tensor:
        """The first and the last timestep of the outermost stages, unsorted: int64 [ROWS]."""
        first, last = self.stages[0], self.stages[-1]
        return torch.tensor([last.stop - 1, first.start, last.start, first.stop - 1])


def load_backbone(folder: str | Path) -> Backbone:
    """The backbone in a Stable Diffusion folder."""
    return Backbone.load(str(folder))
