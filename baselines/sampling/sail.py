"""SAIL, sharpness-aware initial noise (Jeon et al., arXiv 2412.04140; Dongjae0324/sharpness_memorization_diffusion)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.sampling.optimise import Target, check_options, minimise
from baselines.sampling.pairs import direction, first_timesteps, magnitude, noise_difference, norms
from replication_bench import ranges
from replication_bench.denoiser import Denoiser, predict_pair
from replication_bench.method import Conditioning, Context, Method


def sharpness(x_t: Tensor, t: Tensor, denoiser: Denoiser, states: Conditioning, ctx: Context) -> Tensor:
    """||delta(x + delta(x) / ||delta(x)||)||_2 of each row with delta = eps_c - eps_0, float [n]; two paired calls.

    A finite difference in place of the norm of Hessian times score (algorithm 2 of the paper, as the repository
    computes it: a step of length 1, and the norm where the paper has its square).
    """
    scheduler = ctx.backbone.scheduler
    delta = noise_difference(predict_pair(denoiser, x_t, t, states), x_t, t, scheduler)
    moved = x_t + direction(delta)
    return magnitude(predict_pair(denoiser, moved, t, states), moved, t, scheduler)


@dataclass(frozen=True)
class Sail(Method):
    """Move the initial noise to where the log-density is flat: lower sharpness + ``alpha`` * ||x_T||_2.

    The published stop on SD 1.4 is ``target=8.2, relative=false``; alpha is 0.05 there and 0.01 on SD 2.

    Attributes:
        learning_rate: of Adam.
        iterations: most evaluations of the objective.
        alpha: weight of the norm of the noise.
        target: the objective at which a sample stops, or with ``relative`` the share of its first sharpness.
        relative: see ``target``.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "initial noise optimised towards a flat log-density"
    paper: ClassVar[str] = "arXiv 2412.04140 (ICML 2025)"
    kind = "sample"

    learning_rate: float = 0.05
    iterations: int = 10
    alpha: float = 0.05
    target: float = 0.5
    relative: bool = True

    def __post_init__(self) -> None:
        check_options(self.learning_rate, self.iterations, self.target, self.relative)
        ranges.not_negative("alpha", self.alpha)

    def initial(
        self,
        noise: Tensor,
        denoiser: Denoiser,
        states: Conditioning,
        ctx: Context,
        rngs: Sequence[torch.Generator],
    ) -> Tensor:
        """Initial noise after the optimisation."""
        t = first_timesteps(ctx, len(noise))

        def objective(x_t: Tensor) -> Tensor:
            return sharpness(x_t, t, denoiser, states, ctx) + self.alpha * norms(x_t)

        return minimise(
            objective,
            noise,
            lambda values: torch.optim.Adam(values, lr=self.learning_rate),
            self.iterations,
            Target(self.target, self.relative),
            floor=self.alpha * norms(noise),
        )
