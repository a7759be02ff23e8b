"""Neuron deactivation, NeMo (arXiv 2406.02366; ml-research/localizing_memorization_in_diffusion_models)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from baselines.sampling.attention import cross_attentions, on_output, standing
from baselines.sampling.neurons import NeuronSearch, Statistics, first_step_layers, statistics
from baselines.sampling.neutral import reference_captions
from baselines.sampling.pairs import first_timesteps
from replication_bench import ranges
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Method

REFINEMENTS = ("neurons", "layers", "none")
PARTS = ("down_blocks", "mid_block")


@dataclass(frozen=True)
class Nemo(Method):
    """Set to 0 the cross-attention value neurons without which a prompt's first step is no longer the memorised one.

    Candidates respond to the prompt unlike to the reference captions: |activation - mean| / std above a threshold
    that is lowered until removing them moves the first step, plus in the j-th round the j largest of each layer.
    Then layers, and then single neurons, that are not needed for that are given back.

    Attributes:
        seeds: initial noises on which a prompt is tried; the paper uses 10. With 1, no prompt is passed over.
        theta: the first threshold.
        theta_min: the last.
        theta_step: by how much it is lowered.
        top: whether the largest activations join the candidates.
        threshold: structural similarity of first steps above which they are alike. 0.428 is the mean plus one
            standard deviation of unmemorised prompts on SD 1.4; another model has its own.
        refinement: ``neurons``, ``layers``, or ``none``: what is given back where it is not needed.
        captions: a text file with one reference caption a line; empty for shipped neutral ones.

    Raises:
        ConfigError: an option that cannot be meant, or a file that cannot be used.
    """

    summary: ClassVar[str] = "value neurons of the cross-attention that carry a memorised prompt switched off"
    paper: ClassVar[str] = "arXiv 2406.02366 (NeurIPS 2024)"
    kind = "sample"

    seeds: int = 4
    theta: float = 5.0
    theta_min: float = 1.0
    theta_step: float = 0.25
    top: bool = True
    threshold: float = 0.428
    refinement: str = "neurons"
    captions: str = ""

    def __post_init__(self) -> None:
        ranges.integer("seeds", self.seeds, 1)
        ranges.not_negative("theta_min", self.theta_min)
        ranges.positive("theta_step", self.theta_step)
        if ranges.number("theta", self.theta, "a number") < self.theta_min:
            raise ConfigError(
                "the threshold is lowered", where="theta", got=self.theta, want=f"from {self.theta_min}"
            )
        ranges.boolean("top", self.top)
        ranges.probability("threshold", self.threshold)
        ranges.one_of("refinement", self.refinement, REFINEMENTS)
        ranges.text("captions", self.captions)
        reference_captions(self.captions)

    @property
    def thetas(self) -> list[float]:
        """The thresholds in the order in which they are tried."""
        rounds = int((self.theta - self.theta_min) / self.theta_step + 1e-9) + 1
        return [self.theta - self.theta_step * index for index in range(rounds)]

    @torch.no_grad()
    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser without the neurons that each sample's prompt needs; the same one where there are none."""
        layers = cross_attentions(denoiser, ctx, PARTS)
        reference = ctx.remember(
            ("nemo", self.captions),
            lambda: statistics(layers, reference_captions(self.captions), ctx.backbone),
        )
        search, reached = self.search(denoiser, layers, reference, ctx)
        blocked = search.select(self.thetas, self.threshold, self.top)
        if self.refinement != "none":
            blocked = search.without_layers(blocked)
        if self.refinement == "neurons":
            blocked = search.without_neurons(blocked)
        return Masked(denoiser, reached, ~blocked) if blocked.any() else denoiser

    def search(
        self, denoiser: Denoiser, layers: Sequence[Any], reference: Statistics, ctx: Context
    ) -> tuple[NeuronSearch, list[Any]]:
        """A search over the neurons of the layers that the first step runs through, and those layers."""
        samples, cond = ctx.samples, ctx.backbone.encode_text(ctx.samples.prompts)
        noises = [
            torch.randn(samples.noise.shape[1:], generator=ctx.seeds.torch("nemo", index))
            .to(samples.noise)
            .expand_as(samples.noise)
            for index in range(self.seeds)
        ]
        t = first_timesteps(ctx, len(cond))
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
            alike=self.threshold,
        ), reached


class Masked:
    """A denoiser with value neurons scaled by 0 or 1 while it is called, each sample by its own mask."""

    def __init__(self, denoiser: Denoiser, layers: Sequence[Any], kept: Tensor):
        """``kept``: bool [n, neurons of all layers]."""
        self.denoiser, self.layers, self.kept = denoiser, layers, kept

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``; row i belongs to sample i mod n, and both halves are masked."""
        rows = self.kept.repeat(len(x_t) // len(self.kept), 1).to(x_t.dtype)[:, None]
        parts = rows.split([layer.to_v.out_features for layer in self.layers], dim=2)
        handles = [on_output(layer.to_v, part.mul) for layer, part in zip(self.layers, parts, strict=True)]
        with standing(handles):
            return self.denoiser(x_t, t, cond)
