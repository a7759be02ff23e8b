"""The method contract. A method's defaults are plain fine-tuning, so ``Method()`` itself is the method ``none``.

A method is a frozen dataclass of hyper-parameters. It keeps no state: whatever a hook needs is handed to it, and
``dataclasses.asdict`` of it is its provenance. Override the hooks that differ from plain fine-tuning.

Hooks that chain in a composition ``a+b`` (``CHAINED``) take what the part before returned. Those of ``OWNED`` have one
owner; two owners are an error. Those of ``EACH`` are asked of every part. ``TRAINING`` hooks change the trained
weights: a method of kind ``sample`` overrides none of them. See docs/design.md, section 2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from replication_bench.context import Context as Context
from replication_bench.context import SampleBatch as SampleBatch
from replication_bench.denoiser import Denoiser, UNetDenoiser, predict_pair
from replication_bench.optimisers import new_optimiser
from replication_bench.seeds import Seeds

if TYPE_CHECKING:
    from replication_bench.backbone import Backbone
    from replication_bench.data.example import Example, Examples
    from replication_bench.results import Measurement

CHAINED = ("dataset", "caption", "image", "encode", "prompt", "condition", "initial", "wrap", "facts")
OWNED = ("stages", "build", "order", "timesteps", "loss", "optimiser", "update", "denoiser", "guide")
EACH = ("check",)
HOOKS = CHAINED + OWNED + EACH
TRAINING = ("dataset", "caption", "image", "encode", *OWNED[:-1])


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


class Conditioning(NamedTuple):
    """Text states of a batch of samples: ``cond`` and ``uncond``, each float [n, length, width]."""

    cond: Tensor
    uncond: Tensor


class Reported(NamedTuple):
    """A number printed in a paper; shown beside measurements, never among them."""

    claim: str
    value: float
    unit: str
    protocol: str
    source: str


@dataclass(frozen=True)
class Step:
    """One training step with everything drawn, for the hook ``update``.

    Attributes:
        rows: examples drawn; 0 where a random draw was empty.
        images: what the step counts on the clock; ``rows`` on average where ``order`` draws a random number.
        losses: computes the losses of the rows of a slice as a batch of their own, float [m].
        backward: adds the gradients of a number; use it in place of ``Tensor.backward``.
        clip: clips the gradients to the norm that the configuration sets.
        optimiser: what the hook ``optimiser`` returned, perhaps inside Accelerate's wrapper.
        rng: random stream of this step, for draws of ``update``; on the CPU.
        parts: slices of the rows, each computed in a pass of its own where memory is short.
    """

    rows: int
    images: int
    losses: Callable[[slice], Tensor]
    backward: Callable[[Tensor], None]
    clip: Callable[[], None]
    optimiser: torch.optim.Optimizer
    rng: torch.Generator
    parts: tuple[slice, ...] = (slice(None),)


@dataclass(frozen=True)
class Method:
    """Plain fine-tuning of one U-Net (``none``), and the base of every method.

    Class attributes:
        summary: one line for ``replbench methods``.
        paper: where the method was published; empty for controls.
        kind: ``train`` changes training, ``sample`` only sampling.
        reported: the numbers its paper prints.
        needs: packages beyond replbench's own, as (module, what pip is to install).
    """

    summary: ClassVar[str] = "plain fine-tuning of the whole U-Net"
    paper: ClassVar[str] = ""
    kind: ClassVar[Literal["train", "sample"]] = "train"
    reported: ClassVar[tuple[Reported, ...]] = ()
    needs: ClassVar[tuple[tuple[str, str], ...]] = ()

    def overrides(self, hook: str) -> bool:
        """Whether this method replaces the default of ``hook``; the harness may then not take a shortcut."""
        return getattr(type(self), hook) is not getattr(Method, hook)

    @property
    def changes_training(self) -> bool:
        """Whether trained weights can depend on this method: it replaces a hook of ``TRAINING``."""
        return any(self.overrides(hook) for hook in TRAINING)

    def check(self, ctx: Context) -> None:
        """Raise a ReplbenchError where this run cannot be; called before the first method of a command trains.

        ``ctx.training`` is there, as ``dataset`` returned it. Nothing long belongs here.
        """

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
        """The network of one stage, not shared with the backbone.

        Called with torch's global generator seeded from the run's seed and the stage's name.
        """
        network: nn.Module = copy.deepcopy(backbone.unet)
        return network.requires_grad_(True)

    def order(self, size: int, start: int, stop: int, seeds: Seeds) -> list[int]:
        """Which of ``size`` examples are the images [start, stop) of a stage's clock: a new permutation each epoch."""
        drawn: list[int] = []
        for epoch in range(start // size, (stop - 1) // size + 1):
            permutation = seeds.numpy("order", epoch).permutation(size)
            low, high = max(start - epoch * size, 0), min(stop - epoch * size, size)
            drawn += permutation[low:high].tolist()
        return drawn

    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> Tensor:
        """Timesteps of one training step, int64 [n] in [stage.start, stage.stop)."""
        return torch.randint(stage.start, stage.stop, (n,), generator=rng)

    def loss(self, denoiser: Denoiser, encoded: Encoded, t: Tensor, noise: Tensor, ctx: Context) -> Tensor:
        """Loss of each row, float [n]: mean squared error to the target of the scheduler's prediction type."""
        scheduler = ctx.backbone.scheduler
        x_t = scheduler.add_noise(encoded.latents, noise, t)
        if scheduler.config.prediction_type == "v_prediction":
            target = scheduler.get_velocity(encoded.latents, noise, t)
        else:
            target = noise
        prediction = denoiser(x_t, t, encoded.cond)
        return (prediction.float() - target.float()).square().flatten(1).mean(1)

    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        """The optimiser of one stage."""
        return new_optimiser([p for p in module.parameters() if p.requires_grad], ctx.train)

    def update(self, step: Step, ctx: Context) -> Tensor:
        """Gradients of the mean loss, clipped, and one optimiser step; nothing where no example was drawn.

        The learning rate is set before, and averaged weights follow afterwards.

        Returns:
            The losses without gradient, float [rows].
        """
        if not step.rows:
            return torch.zeros(0)
        found = []
        for part in step.parts:
            losses = step.losses(part)
            step.backward(losses.mean() * (len(losses) / step.rows))
            found.append(losses.detach())
        step.clip()
        step.optimiser.step()
        step.optimiser.zero_grad()
        return torch.cat(found)

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        """One denoiser over the stages' networks, in the order of ``stages``.

        Called with torch's global generator seeded from the run's seed.
        """
        (module,) = modules
        return UNetDenoiser(module)

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt of one sample."""
        return text

    def condition(
        self, states: Conditioning, denoiser: Denoiser, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Conditioning:
        """Text states of a batch of samples; one generator a sample, after its initial noise was drawn."""
        return states

    def initial(
        self,
        noise: Tensor,
        denoiser: Denoiser,
        states: Conditioning,
        ctx: Context,
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        """Initial noise of a batch of samples, float [n, c, h, w] of unit variance; one generator a sample."""
        return noise

    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser of one batch of samples; runs before the other sampling hooks."""
        return denoiser

    def guide(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning, scale: float, ctx: Context
    ) -> Tensor:
        """The prediction of one sampling step: classifier-free guidance (arXiv 2207.12598), one batched call."""
        return predict_pair(denoiser, x_t, t, states).guided(scale)

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """Numbers that only the method can tell, as columns of the result; ``data`` is the training set as trained."""
        return facts
