"""The method contract. A method's defaults are plain fine-tuning, so ``Method()`` itself is the method ``none``.

A method is a frozen dataclass of hyper-parameters. It keeps no state: whatever a hook needs is handed to it, and
``dataclasses.asdict`` of it is its provenance. Override the hooks that differ from plain fine-tuning.

Hooks that chain in a composition ``a+b`` (``dataset, caption, image, encode, prompt, condition, initial, wrap``) take
what the part before returned. The others (``stages, build, timesteps, loss, optimiser, denoiser, guide``) have one
owner; two owners are an error. See docs/design.md, section 2.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from replication_bench.denoiser import Denoiser, UNetDenoiser

if TYPE_CHECKING:
    from replication_bench.backbone import Backbone
    from replication_bench.config import TrainConfig
    from replication_bench.data.example import Example, Examples

CHAINED = ("dataset", "caption", "image", "encode", "prompt", "condition", "initial", "wrap")
OWNED = ("stages", "build", "timesteps", "loss", "optimiser", "denoiser", "guide")
HOOKS = CHAINED + OWNED


class Stage(NamedTuple):
    """A half-open interval of timesteps [start, stop) that has its own network."""

    name: str
    start: int
    stop: int


class Encoded(NamedTuple):
    """What a training step sees: ``latents`` float [n, c, h, w], scaled; ``cond`` float [n, length, width]."""

    latents: Tensor
    cond: Tensor


class Batch(NamedTuple):
    """The examples of one training step with the captions drawn for them."""

    examples: tuple[Example, ...]
    captions: tuple[str, ...]


class Reported(NamedTuple):
    """A number printed in a paper; shown beside measurements, never among them."""

    claim: str
    value: float
    unit: str
    protocol: str
    source: str


@dataclass
class Context:
    """What a hook may look at.

    Attributes:
        backbone: the pretrained parts; frozen.
        train: training configuration.
        prompts: the prompts of the samples at hand, after the hook ``prompt``; empty while training.
        train_vectors: embeddings of the training set, float32 [n, d], where a sampler may look; else None.
        scratch: room for one batch of samples, new for each batch.
    """

    backbone: Backbone
    train: TrainConfig
    prompts: tuple[str, ...] = ()
    train_vectors: np.ndarray | None = None
    scratch: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """Plain fine-tuning of one U-Net (``none``), and the base of every method.

    Class attributes:
        summary: one line for ``replbench methods``.
        paper: where the method was published; empty for controls.
        kind: ``train`` changes training, ``sample`` only sampling.
        reported: the numbers its paper prints.
    """

    summary: ClassVar[str] = "plain fine-tuning of the whole U-Net"
    paper: ClassVar[str] = ""
    kind: ClassVar[Literal["train", "sample"]] = "train"
    reported: ClassVar[tuple[Reported, ...]] = ()

    def overrides(self, hook: str) -> bool:
        """Whether this method replaces the default of ``hook``; the harness may then not take a shortcut."""
        return getattr(type(self), hook) is not getattr(Method, hook)

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The training set, once before training."""
        return data

    def caption(self, text: str, example: Example, rng: np.random.Generator) -> str:
        """The caption of one draw; ``text`` is the first caption, or what the part before returned."""
        return text

    def image(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """The image of one draw: float [3, H, W] in [-1, 1], after the flip that the recipe asks for.

        A method that overrides this hook is trained without the latent cache.
        """
        return image

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """Latents and text states of one training step."""
        return encoded

    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        """A partition of [0, T) into intervals, in order."""
        return (Stage("all", 0, num_timesteps),)

    def build(self, backbone: Backbone, stage: Stage) -> nn.Module:
        """The network of one stage, not shared with the backbone."""
        network: nn.Module = copy.deepcopy(backbone.unet)
        return network.requires_grad_(True)

    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> Tensor:
        """Timesteps of one training step, int64 [n] in [stage.start, stage.stop)."""
        return torch.randint(stage.start, stage.stop, (n,), generator=rng)

    def loss(self, denoiser: Denoiser, encoded: Encoded, t: Tensor, noise: Tensor, scheduler: Any) -> Tensor:
        """Loss of each row, float [n]: mean squared error to the target of the scheduler's prediction type."""
        x_t = scheduler.add_noise(encoded.latents, noise, t)
        if scheduler.config.prediction_type == "v_prediction":
            target = scheduler.get_velocity(encoded.latents, noise, t)
        else:
            target = noise
        prediction = denoiser(x_t, t, encoded.cond)
        return (prediction.float() - target.float()).square().flatten(1).mean(1)

    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        """The optimiser of one stage."""
        train = ctx.train
        return torch.optim.AdamW(
            [p for p in module.parameters() if p.requires_grad],
            lr=train.learning_rate,
            betas=(0.9, 0.999),
            eps=1e-8,
            weight_decay=train.weight_decay,
        )

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        """One denoiser over the stages' networks, in the order of ``stages``."""
        (module,) = modules
        return UNetDenoiser(module)

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt of one sample."""
        return text

    def condition(
        self, cond: Tensor, denoiser: Denoiser, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Text states of a batch of samples, float [n, length, width]; one generator a sample."""
        return cond

    def initial(
        self, noise: Tensor, denoiser: Denoiser, cond: Tensor, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Initial noise of a batch of samples, float [n, c, h, w] of unit variance; one generator a sample."""
        return noise

    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser used for sampling."""
        return denoiser

    def guide(
        self,
        denoiser: Denoiser,
        x_t: Tensor,
        t: Tensor,
        cond: Tensor,
        uncond: Tensor,
        scale: float,
        ctx: Context,
    ) -> Tensor:
        """The prediction of one sampling step: classifier-free guidance (arXiv 2207.12598), one batched call."""
        both = denoiser(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([uncond, cond]))
        unconditional, conditional = both.chunk(2)
        return unconditional + scale * (conditional - unconditional)
