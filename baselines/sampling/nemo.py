"""Neuron deactivation, NeMo (arXiv 2406.02366; ml-research/localizing_memorization_in_diffusion_models)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.sampling.attention import (
    attentions_in,
    by_timestep,
    cross_attentions,
    on_output,
    standing,
    unwrapped,
)
from baselines.sampling.neurons import (
    NeuronSearch,
    Statistics,
    first_step_layers,
    likeness,
    moved,
    statistics,
)
from baselines.sampling.neutral import reference_captions, reference_text
from baselines.sampling.pairs import first_timesteps
from baselines.text import pinned
from replication_bench import ranges
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Method

REFINEMENTS = ("neurons", "layers", "none")
PARTS = ("down_blocks", "mid_block")
CALIBRATION = 64
ROUNDS = 1000


@dataclass(frozen=True)
class Nemo(Method):
    """Set to 0 the cross-attention value neurons without which a prompt's first step is no longer the memorised one.

    Candidates respond to the prompt unlike to the reference captions: |activation - mean| / std above a threshold
    that is lowered until removing them moves the first step, plus in the j-th round the j largest of each layer.
    Then layers, and then single neurons, that are not needed for that are given back.

    Attributes:
        seeds: initial noises on which a prompt is tried; the paper uses 10. With 1, no prompt is passed over
            and the threshold must be given.
        theta: the first threshold.
        theta_min: the last.
        theta_step: by how much it is lowered.
        top: whether the largest activations join the candidates.
        threshold: structural similarity of first steps above which they are alike; None for the mean plus one
            standard deviation over reference captions, which is how the paper got its 0.428 for SD 1.4.
        refinement: ``neurons``, ``layers``, or ``none``: what is given back where it is not needed.
        tries: most sets of neurons that ``neurons`` tries to give back; the paper tries every neuron. The others stay
            switched off.
        captions: a text file with one reference caption a line; empty for shipped neutral ones.
        sha256: of that text; empty to take it as it is. Always set afterwards, so that a run names what it read.

    Raises:
        ConfigError: an option that cannot be meant, or a file that cannot be used or is not the one that ``sha256``
            names.
    """

    summary: ClassVar[str] = "value neurons of the cross-attention that carry a memorised prompt switched off"
    paper: ClassVar[str] = "arXiv 2406.02366 (NeurIPS 2024)"
    kind = "sample"

    seeds: int = 4
    theta: float = 5.0
    theta_min: float = 1.0
    theta_step: float = 0.25
    top: bool = True
    threshold: float | None = None
    refinement: str = "neurons"
    tries: int = 50
    captions: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        ranges.integer("seeds", self.seeds, 1)
        ranges.not_negative("theta_min", self.theta_min)
        ranges.positive("theta_step", self.theta_step)
        if ranges.number("theta", self.theta, "a number") < self.theta_min:
            raise ConfigError(
                "the threshold is lowered", where="theta", got=self.theta, want=f"from {self.theta_min}"
            )
        if (rounds := self.rounds) > ROUNDS:
            raise ConfigError(
                "too many thresholds",
                where="theta_step",
                got=f"{self.theta_step} ({rounds} rounds)",
                want=f"at most {ROUNDS} from theta to theta_min",
            )
        ranges.boolean("top", self.top)
        if self.threshold is not None:
            ranges.probability("threshold", self.threshold)
        elif self.seeds == 1:
            raise ConfigError(
                "one noise cannot give a threshold", where="seeds", got=1, want="2, or a threshold"
            )
        ranges.one_of("refinement", self.refinement, REFINEMENTS)
        ranges.integer("tries", self.tries, 1)
        ranges.text("captions", self.captions)
        object.__setattr__(self, "sha256", pinned.pin("captions", reference_text(self.captions), self.sha256))
        reference_captions(self.captions)

    @property
    def rounds(self) -> int:
        """How many thresholds are tried at most."""
        return int((self.theta - self.theta_min) / self.theta_step + 1e-9) + 1

    @property
    def thetas(self) -> list[float]:
        """The thresholds in the order in which they are tried."""
        return [self.theta - self.theta_step * index for index in range(self.rounds)]

    def check(self, ctx: Context) -> None:
        """Whether the backbone's U-Net has cross-attention on its way down; see ``attentions_in``."""
        attentions_in([ctx.backbone.unet], PARTS)

    @torch.no_grad()
    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser without the neurons that each sample's prompt needs; the same one where there are none."""
        layers = cross_attentions(denoiser, ctx, PARTS)
        reference = ctx.remember(
            ("nemo", self.captions),
            lambda: statistics(layers, reference_captions(self.captions), ctx.backbone),
        )
        limit = self.limit(denoiser, ctx)
        search, reached = self.search(denoiser, layers, reference, limit, ctx)
        blocked = search.select(self.thetas, limit, self.top)
        if self.refinement != "none":
            blocked = search.without_layers(blocked)
        if self.refinement == "neurons":
            blocked = search.without_neurons(blocked, self.tries)
        return Masked(denoiser, reached, ~blocked) if blocked.any() else denoiser

    def noises(self, ctx: Context, rows: int) -> list[Tensor]:
        """The initial noises that prompts are tried on, the same for all of them; each float [rows, c, h, w]."""
        like = ctx.samples.noise
        drawn = (
            torch.randn(like.shape[1:], generator=ctx.seeds.torch("nemo", index))
            for index in range(self.seeds)
        )
        return [noise.to(like).expand(rows, *noise.shape) for noise in drawn]

    def limit(self, denoiser: Denoiser, ctx: Context) -> float:
        """``threshold``, or what reference captions give; they are no samples, so no wrapper sees them."""
        if self.threshold is not None:
            return self.threshold
        key = ("nemo threshold", self.captions, self.seeds)
        return ctx.remember(key, lambda: self.measured_limit(unwrapped(denoiser), ctx))

    def measured_limit(self, denoiser: Denoiser, ctx: Context) -> float:
        """Mean plus standard deviation of the likeness of first steps over ``CALIBRATION`` reference captions."""
        captions = reference_captions(self.captions)
        states = ctx.backbone.encode_text(captions[:: -(-len(captions) // CALIBRATION)])
        t, scheduler = first_timesteps(ctx, len(states)), ctx.backbone.scheduler
        steps = [
            moved(denoiser(noise, t, states), noise, t, scheduler) for noise in self.noises(ctx, len(states))
        ]
        values = likeness(steps).amax(0)
        return float(values.mean() + values.std())

    def search(
        self, denoiser: Denoiser, layers: Sequence[Any], reference: Statistics, limit: float, ctx: Context
    ) -> tuple[NeuronSearch, list[Any]]:
        """A search over the neurons of the layers that the first step runs through, and those layers."""
        cond = ctx.backbone.encode_text(ctx.samples.prompts)
        t, noises = first_timesteps(ctx, len(cond)), self.noises(ctx, len(cond))
        found = first_step_layers(layers, lambda: denoiser(noises[0], t, cond))
        reached = [layers[index] for index in found]

        def first_step(noise: Tensor, kept: Tensor) -> Tensor:
            return Masked(denoiser, reached, kept)(noise, t, cond)

        return NeuronSearch(
            activations=list(found.values()),
            reference=[reference[index] for index in found],
            noises=noises,
            t=t,
            first_step=first_step,
            scheduler=ctx.backbone.scheduler,
            alike=limit,
        ), reached


class Masked:
    """A denoiser with value neurons scaled by 0 or 1 while it is called, each sample by its own mask."""

    def __init__(self, denoiser: Denoiser, layers: Sequence[Any], kept: Tensor):
        """``kept``: bool [n, neurons of all layers]."""
        self.denoiser, self.layers, self.kept = denoiser, layers, kept

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``; row i belongs to sample i mod n, and both halves are masked."""
        return by_timestep(self.masked, x_t, t, cond)

    def masked(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The prediction for rows of one timestep."""
        rows = self.kept.repeat(len(x_t) // len(self.kept), 1).to(x_t.dtype)[:, None]
        parts = rows.split([layer.to_v.out_features for layer in self.layers], dim=2)
        handles = [on_output(layer.to_v, part.mul) for layer, part in zip(self.layers, parts, strict=True)]
        with standing(handles):
            return self.denoiser(x_t, t, cond)
