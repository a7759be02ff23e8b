"""Transition points and opposite guidance (Jain et al., arXiv 2411.16738; SonyResearch/mitigating_memorization)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.sampling.pairs import magnitude, row
from baselines.sampling.published import FINE_TUNED, JAIN
from replication_bench import ranges
from replication_bench.denoiser import Denoiser, predict_pair
from replication_bench.method import Conditioning, Context, Method, Reported

PROTOCOL = f"{FINE_TUNED}, 256 px"


@dataclass(frozen=True)
class CfgStatic(Method):
    """The scale ``before`` while t > ``transition``, classifier-free guidance from there on.

    Published: ``transition=500, before=0``; opposite guidance ``transition=650, before=-2``.

    Attributes:
        transition: the first timestep, coming from the noise, that is guided; at or above the schedule's first
            timestep the method is plain guidance, below its last there is no guidance at all.
        before: guidance scale before it: 0 is the unconditional prediction, 1 the conditional one, and below 0 is
            opposite guidance. With 0 and 1 the other prediction is not computed.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "no or opposite guidance before a fixed timestep"
    paper: ClassVar[str] = "arXiv 2411.16738 (CVPR 2025)"
    kind = "sample"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            "95th percentile of the similarity, from 0.6504 without mitigation",
            0.2857,
            "SSCD cosine",
            PROTOCOL,
            JAIN,
        ),
        Reported(
            "the same with opposite guidance before the transition", 0.3811, "SSCD cosine", PROTOCOL, JAIN
        ),
    )

    transition: int = 500
    before: float = 0.0

    def __post_init__(self) -> None:
        ranges.integer("transition", self.transition, 0)
        ranges.number("before", self.before, "a number")

    def guide(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning, scale: float, ctx: Context
    ) -> Tensor:
        """The prediction of one step; one network call a row where one prediction is enough."""
        early = t > self.transition
        if not early.any():
            return super().guide(denoiser, x_t, t, states, scale, ctx)
        if early.all() and self.before in (0, 1):
            return denoiser(x_t, t, states.cond if self.before else states.uncond)
        scales = torch.where(early, self.before, scale).to(x_t.dtype)
        return predict_pair(denoiser, x_t, t, states).guided(row(scales, x_t))


@dataclass(frozen=True)
class CfgDynamic(Method):
    """The scale ``before`` until ||eps_c - eps_0||^2 has passed its first local minimum, each sample on its own.

    A sample is guided from the step at which the minimum shows, one after the minimum. Where none shows, it stays
    unguided to the end, as in the authors' script. They use ``before=1``, the conditional prediction alone.

    Attributes:
        before: guidance scale before the transition; below 0 is opposite guidance.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "no or opposite guidance until the prompt's influence passes a minimum"
    paper: ClassVar[str] = "arXiv 2411.16738 (CVPR 2025)"
    kind = "sample"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            "95th percentile of the similarity, from 0.7977 without mitigation",
            0.5885,
            "SSCD cosine",
            "SD 1.4, 200 duplicated images",
            JAIN,
        ),
    )

    before: float = 1.0

    def __post_init__(self) -> None:
        ranges.number("before", self.before, "a number")

    def guide(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning, scale: float, ctx: Context
    ) -> Tensor:
        """The prediction of one step; remembers the last two magnitudes of each sample in the batch's scratch."""
        pair = predict_pair(denoiser, x_t, t, states)
        watch = ctx.samples.scratch.setdefault("cfg-dynamic", Minimum(len(x_t), x_t.device))
        passed = watch.update(magnitude(pair, x_t, t, ctx.backbone.scheduler).square())
        if passed.all():
            return pair.guided(scale)
        return pair.guided(row(torch.where(passed, scale, self.before).to(x_t.dtype), x_t))


class Minimum:
    """Tells of each row of a series whether it has passed a local minimum."""

    def __init__(self, rows: int, device: torch.device):
        self.before_last = torch.full((rows,), -torch.inf, device=device)
        self.last = torch.full((rows,), -torch.inf, device=device)
        self.passed = torch.zeros(rows, dtype=torch.bool, device=device)

    def update(self, values: Tensor) -> Tensor:
        """Take the next values, float [n]; whether a minimum lies behind, bool [n]."""
        self.passed = self.passed | ((values > self.last) & (self.before_last > self.last))
        self.before_last, self.last = self.last, values
        return self.passed
