"""Prompt-embedding optimisation (Wen et al., arXiv 2407.21720; YuxinWenRick/diffusion_memorization)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.sampling.optimise import Target, check_options, minimise
from baselines.sampling.pairs import first_timesteps, norms
from baselines.sampling.published import run_by_jain
from replication_bench.denoiser import Denoiser
from replication_bench.method import Conditioning, Context, Method, Reported
from replication_bench.prediction import noise_of


@dataclass(frozen=True)
class Wen(Method):
    """Lower ||eps_c - eps_0||_2 of the first step over the prompt's text states, then sample with them.

    The begin token's state is left as it is. The published stop on SD 1.4 is ``target=3, relative=false``.

    Attributes:
        learning_rate: of AdamW.
        iterations: most evaluations of the magnitude.
        target: the magnitude at which a sample stops, or with ``relative`` the share of its first magnitude.
        relative: see ``target``.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "prompt states optimised until the first step depends little on the prompt"
    paper: ClassVar[str] = "arXiv 2407.21720 (ICLR 2024)"
    kind = "sample"
    reported: ClassVar[tuple[Reported, ...]] = run_by_jain(0.3853)

    learning_rate: float = 0.05
    iterations: int = 10
    target: float = 0.5
    relative: bool = True

    def __post_init__(self) -> None:
        check_options(self.learning_rate, self.iterations, self.target, self.relative)

    def condition(
        self, states: Conditioning, denoiser: Denoiser, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Conditioning:
        """Text states whose conditional half is optimised on the initial noise as the harness drew it."""
        # a wrapper that tells the halves apart must know what an earlier part made of the unconditional one
        ctx.samples.uncond = states.uncond
        begin, free = states.cond[:, :1], states.cond[:, 1:]
        found = minimise(
            FirstStep(begin, states.uncond, denoiser, ctx).magnitude,
            free,
            lambda values: torch.optim.AdamW(values, lr=self.learning_rate),
            self.iterations,
            Target(self.target, self.relative),
        )
        return states._replace(cond=torch.cat([begin, found], dim=1))


class FirstStep:
    """The first sampling step as a function of the prompt's states.

    The unconditional prediction does not depend on them and is computed once.
    """

    def __init__(self, begin: Tensor, uncond: Tensor, denoiser: Denoiser, ctx: Context):
        self.begin, self.denoiser, self.scheduler = begin, denoiser, ctx.backbone.scheduler
        self.x_t, self.t = ctx.samples.noise, first_timesteps(ctx, len(begin))
        with torch.no_grad():
            self.unconditional = self.noise(uncond)

    def noise(self, states: Tensor) -> Tensor:
        """eps of the first step under ``states``."""
        return noise_of(self.denoiser(self.x_t, self.t, states), self.x_t, self.t, self.scheduler)

    def magnitude(self, free: Tensor) -> Tensor:
        """||eps_c - eps_0||_2 of each row, float [n], under all states but the begin token's [n, length - 1, width]."""
        return norms(self.noise(torch.cat([self.begin, free], dim=1)) - self.unconditional)
