"""Anti-memorisation guidance (Chen, Liu and Xu, arXiv 2404.00922; chenchen-usyd/AMG)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from baselines.sampling.pairs import row
from baselines.sampling.similarity import SIMILARITIES, Similarity, check_similarity, new_similarity
from replication_bench import ranges
from replication_bench.denoiser import Denoiser, Pair, predict_pair
from replication_bench.encoding import TextStates
from replication_bench.errors import ConfigError
from replication_bench.method import Conditioning, Context, Method, Reported
from replication_bench.prediction import levels, noise_of, prediction_of

GUIDED_BY_SSCD = "variant similarity=embedder with SSCD; SD 1.4, LAION, DDIM 50 steps"
GUIDED_BY_NL2 = "variant similarity=images, nL2; unconditional iDDPM on CIFAR-10"


class Threshold(NamedTuple):
    """``low + (high - low) exp(-decay t / T)``: ``high`` at the end of sampling, near ``low`` at its start."""

    low: float
    high: float
    decay: float


THRESHOLDS = {
    # supplement, equation 19, with t counted in 250 steps
    "latents": Threshold(-1.95, -1.5, 0.025 * 250),
    "images": Threshold(-1.95, -1.5, 0.025 * 250),
    # ldm/models/diffusion/ddim.py of chenchen-usyd/AMG-sd, with t counted in 1000 steps
    "embedder": Threshold(0.3, 0.4, 0.005 * 1000),
}


class Nearness(NamedTuple):
    """How close each row is to the training set: ``active`` bool [n], ``value`` and its ``gradient``, neighbours."""

    active: Tensor
    value: Tensor
    gradient: Tensor
    neighbours: list[int]


@dataclass(frozen=True)
class Amg(Method):
    """Guide away from the nearest training image wherever the predicted clean image comes too close to one.

    Three terms are added to eps while the similarity sigma exceeds its threshold (equations 10 to 17):
    ``-s1 (eps_c - eps_0)``, ``-s2 (eps_N - eps_0)`` with N the neighbour's caption, and
    ``c3 sqrt(1 - abar_t) grad sigma``, where ``s1 = clip(c1 sigma, 0, s0 - 1)`` and
    ``s2 = clip(c2 sigma, 0, s0 - s1 - 1)``, so that the second acts only while
    ``c1 sigma < s0 - 1``. A sample below its threshold is plain guidance to the bit.
    With nL2 sigma is negative, so that only the third term acts; that is the paper's use on CIFAR-10. Its numbers on
    Stable Diffusion are of ``embedder``; of the default ``latents``, which needs no embedder, nothing is published.

    Attributes:
        similarity: ``latents`` and ``images`` are negative nL2 (equation 8) on latents or decoded images;
            ``embedder`` is the cosine under the run's embedder (equation 9), which must give gradients.
        c1: strength of the first term.
        c2: strength of the second term.
        c3: strength of the third term.
        low: threshold far from the image; None for the published one of ``similarity``.
        high: threshold at t = 0; None likewise.
        decay: how fast the threshold falls with t / T; None likewise.
        neighbours: k of nL2.
        alpha: scale of nL2.

    Raises:
        ConfigError: an option that cannot be meant.
    """

    summary: ClassVar[str] = "guidance away from the nearest training image"
    paper: ClassVar[str] = "arXiv 2404.00922 (CVPR 2024)"
    kind = "sample"
    reported: ClassVar[tuple[Reported, ...]] = (
        Reported(
            "mean of the top 5 %, from 0.91 without mitigation",
            0.41,
            "SSCD cosine",
            GUIDED_BY_SSCD,
            "arXiv 2404.00922 table 1, AMG main",
        ),
        Reported(
            "images above 0.5, from 44.85 without mitigation",
            0.0,
            "%",
            GUIDED_BY_SSCD,
            "arXiv 2404.00922 table 1, AMG main",
        ),
        Reported(
            "images with an nL2 below 1.4, from 0.93 without mitigation",
            0.0,
            "%",
            GUIDED_BY_NL2,
            "arXiv 2404.00922",
        ),
    )

    similarity: str = "latents"
    c1: float = 13.0
    c2: float = 21.7
    c3: float = 100.0
    low: float | None = None
    high: float | None = None
    decay: float | None = None
    neighbours: int = 50
    alpha: float = 0.5

    def __post_init__(self) -> None:
        ranges.one_of("similarity", self.similarity, SIMILARITIES)
        for name in ("c1", "c2", "c3"):
            ranges.not_negative(name, getattr(self, name))
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                ranges.number(name, getattr(self, name), "a number, or nothing for the published one")
        if self.decay is not None:
            ranges.not_negative("decay", self.decay)
        ranges.integer("neighbours", self.neighbours, 1)
        ranges.positive("alpha", self.alpha)
        if self.threshold.low > self.threshold.high:
            raise ConfigError(
                "the threshold must not fall towards the image",
                where="low",
                got=self.threshold.low,
                want=f"at most high, {self.threshold.high}",
            )

    @property
    def threshold(self) -> Threshold:
        """The threshold's parameters, the published ones where none is given."""
        given = {"low": self.low, "high": self.high, "decay": self.decay}
        chosen = {name: float(value) for name, value in given.items() if value is not None}
        return THRESHOLDS[self.similarity]._replace(**chosen)

    def threshold_at(self, t: Tensor, num_timesteps: int) -> Tensor:
        """lambda_t of each row, float [n]."""
        low, high, decay = self.threshold
        return low + (high - low) * torch.exp(-decay * t / num_timesteps)

    def measure(self, ctx: Context) -> Similarity:
        """The similarity to the training set, made once a run.

        Raises:
            ConfigError: there is no training set, or an embedder that gives no gradients.
        """
        return ctx.remember(
            ("amg", self.similarity, self.neighbours, self.alpha),
            lambda: new_similarity(self.similarity, ctx, self.neighbours, self.alpha),
        )

    def check(self, ctx: Context) -> None:
        """Refuse what ``measure`` would refuse once all training is done.

        Raises:
            ConfigError: there is no training set, or an embedder that gives no gradients.
        """
        check_similarity(self.similarity, ctx)

    def guide(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning, scale: float, ctx: Context
    ) -> Tensor:
        """The prediction of one step."""
        pair = predict_pair(denoiser, x_t, t, states)
        plain = pair.guided(scale)
        near = self.nearness(plain, x_t, t, ctx)
        if not near.active.any():
            return plain
        s1 = (self.c1 * near.value).clamp(max=max(scale - 1, 0)).clamp(min=0)
        s2 = (self.c2 * near.value).minimum(max(scale - 1, 0) - s1).clamp(min=0)
        guided = plain - row(s1, x_t) * (pair.cond - pair.uncond)
        if (near.active & (s2 > 0)).any():
            guided = guided - row(s2, x_t) * self.duplicate(denoiser, x_t, t, pair, near, ctx)
        return torch.where(row(near.active, x_t), self.dissimilar(guided, x_t, t, near, ctx), plain)

    def nearness(self, plain: Tensor, x_t: Tensor, t: Tensor, ctx: Context) -> Nearness:
        """Similarity of the predicted clean latents, and its gradient at x_t with eps held fixed.

        The authors' code, too, does not differentiate through the network.
        """
        scheduler = ctx.backbone.scheduler
        eps, (signal, sigma) = noise_of(plain, x_t, t, scheduler), levels(t, scheduler, x_t)
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            value, neighbours = self.measure(ctx)((x - sigma * eps.detach()) / signal)
            (gradient,) = torch.autograd.grad(value.sum(), [x])
        active = value.detach() > self.threshold_at(t, ctx.backbone.num_timesteps)
        return Nearness(active, value.detach(), gradient, neighbours)

    def duplicate(
        self, denoiser: Denoiser, x_t: Tensor, t: Tensor, pair: Pair, near: Nearness, ctx: Context
    ) -> Tensor:
        """eps_N - eps_0 under the captions of the nearest training images, in terms of the prediction."""
        assert ctx.training is not None
        texts = ctx.remember("amg captions", lambda: TextStates(ctx.backbone))
        states = texts([ctx.training[index].captions[0] for index in near.neighbours])
        return denoiser(x_t, t, states) - pair.uncond

    def dissimilar(self, guided: Tensor, x_t: Tensor, t: Tensor, near: Nearness, ctx: Context) -> Tensor:
        """``guided`` with the third term added to its eps."""
        scheduler = ctx.backbone.scheduler
        _, sigma = levels(t, scheduler, x_t)
        eps = noise_of(guided, x_t, t, scheduler) + self.c3 * sigma * near.gradient
        return prediction_of(eps, x_t, t, scheduler)
