"""Adjusted initial noise (Han et al., arXiv 2510.08625; hygnhan/init_noise_diffusion_memorization)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.sampling.optimise import Target, check_options, minimise
from baselines.sampling.pairs import direction, first_timesteps, magnitude, noise_difference
from replication_bench import ranges
from replication_bench.denoiser import Denoiser, predict_pair
from replication_bench.method import Conditioning, Context, Method

RULES = ("per-sample", "batch-wise")


@dataclass(frozen=True)
class InitNoise(Method):
    """Lower Wen's magnitude of the first step over the initial noise.

    ``per-sample`` descends its gradient until the target. ``batch-wise`` (algorithm 1) needs no gradient: a fixed
    number of steps along the difference that a step of length ``rho`` makes; the paper then starts guidance late,
    which is ``initnoise+cfg-static`` here. The published per-sample stop on SD 1.4 is ``target=0.9, relative=false``.

    Attributes:
        rule: ``per-sample`` or ``batch-wise``.
        learning_rate: of AdamW, per-sample.
        iterations: most evaluations of the magnitude, per-sample.
        target: the magnitude at which a sample stops, or with ``relative`` the share of its first magnitude.
        relative: see ``target``.
        adjustments: steps, batch-wise.
        gamma: strength of a step, batch-wise.
        rho: length of the look ahead, batch-wise.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "initial noise adjusted until the first step depends little on the prompt"
    paper: ClassVar[str] = "arXiv 2510.08625 (NeurIPS 2025)"
    kind = "sample"

    rule: str = "per-sample"
    learning_rate: float = 0.01
    iterations: int = 50
    target: float = 0.5
    relative: bool = True
    adjustments: int = 2
    gamma: float = 0.7
    rho: float = 50.0

    def __post_init__(self) -> None:
        ranges.one_of("rule", self.rule, RULES)
        check_options(self.learning_rate, self.iterations, self.target, self.relative)
        ranges.integer("adjustments", self.adjustments, 1)
        ranges.positive("gamma", self.gamma)
        ranges.positive("rho", self.rho)

    def initial(
        self,
        noise: Tensor,
        denoiser: Denoiser,
        states: Conditioning,
        ctx: Context,
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        """Initial noise after the adjustment."""
        step = self.descend if self.rule == "per-sample" else self.look_ahead
        return step(noise, denoiser, states, ctx)

    def descend(self, noise: Tensor, denoiser: Denoiser, states: Conditioning, ctx: Context) -> Tensor:
        """Gradient descent on the magnitude, each sample until its target."""
        t = first_timesteps(ctx, len(noise))

        def objective(x_t: Tensor) -> Tensor:
            return magnitude(predict_pair(denoiser, x_t, t, states), x_t, t, ctx.backbone.scheduler)

        return minimise(
            objective,
            noise,
            lambda values: torch.optim.AdamW(values, lr=self.learning_rate),
            self.iterations,
            Target(self.target, self.relative),
        )

    @torch.no_grad()
    def look_ahead(self, noise: Tensor, denoiser: Denoiser, states: Conditioning, ctx: Context) -> Tensor:
        """``x <- x - gamma (delta(x + rho delta(x) / ||delta(x)||) - delta(x))``, ``adjustments`` times."""
        t = first_timesteps(ctx, len(noise))

        def difference(x_t: Tensor) -> Tensor:
            return noise_difference(predict_pair(denoiser, x_t, t, states), x_t, t, ctx.backbone.scheduler)

        for _ in range(self.adjustments):
            delta = difference(noise)
            ahead = noise + self.rho * direction(delta)
            noise = noise - self.gamma * (difference(ahead) - delta)
        return noise
