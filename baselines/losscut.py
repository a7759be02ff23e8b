"""The method ``losscut``: rows whose prediction leans heavily on the text are left out of the loss.

The training mitigation of Wen et al. (arXiv 2407.21720), as in ``train_text_to_image.py`` of
YuxinWenRick/diffusion_memorization (``hard_threshold``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from baselines.dp import Dp
from replication_bench.data.example import Example, Examples
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Encoded, Method
from replication_bench.prediction import levels
from replication_bench.ranges import positive
from replication_bench.results import Measurement

CHUNK = 32
IMAGES = 256


def magnitude(conditional: Tensor, unconditional: Tensor, t: Tensor, scheduler: object) -> Tensor:
    """``||eps(x_t, cond) - eps(x_t, uncond)||_2`` of each row, float [n], from two predictions of the same x_t.

    For velocities v = sqrt(abar_t) eps - sqrt(1 - abar_t) x_0 with x_0 eliminated, eps = sqrt(abar_t) v
    + sqrt(1 - abar_t) x_t: the part in x_t cancels.
    """
    difference = conditional.float() - unconditional.float()
    if scheduler.config.prediction_type == "v_prediction":  # type: ignore[attr-defined]
        difference = levels(t, scheduler, difference)[0] * difference
    return difference.flatten(1).norm(dim=1)


def empty_prompt(ctx: Context, n: int) -> Tensor:
    """Text states of the empty prompt, float [n, length, width]."""
    state = ctx.remember("losscut empty prompt", lambda: ctx.backbone.encode_text([""]))
    return state.expand(n, -1, -1)


def kept_mean(losses: Tensor, kept: Tensor, everywhere: Tensor) -> Tensor:
    """Losses whose plain mean is the mean over the kept rows; all 0 where none is kept.

    Args:
        losses: float [n].
        kept: bool [n].
        everywhere: ``kept`` of all rows that the mean is taken over; more than n where processes share a step.
    """
    return losses * kept * (len(everywhere) / everywhere.sum().clamp(min=1))


@dataclass(frozen=True)
class LossCut(Method):
    """Drops the rows of a training batch whose text-conditional magnitude is not below a threshold.

    Attributes:
        threshold: of ``||eps_c - eps_0||_2`` over a whole latent. A norm: it grows with the square root of the number
            of latent values, so that 2, the source's for 4 x 64 x 64, is lenient for smaller latents.

    Raises:
        ConfigError: a threshold that is not above 0.
    """

    summary: ClassVar[str] = "rows with a large text-conditional magnitude are left out of the loss"
    paper: ClassVar[str] = "arXiv 2407.21720 (ICLR 2024)"

    threshold: float = 2.0

    def __post_init__(self) -> None:
        positive("threshold", self.threshold)

    def check(self, ctx: Context) -> None:
        """Refuse a batch in several passes: the mean is over the kept rows of all of it.

        Raises:
            ConfigError: ``train.accumulate`` is above 1, or ``dp`` takes rows for themselves.
        """
        if any(isinstance(part, Dp) for part in getattr(ctx.method, "parts", ())):
            raise ConfigError(
                "'losscut' and 'dp' cannot be combined",
                got="a mean over the kept rows of a batch, and gradients of single rows",
            )
        if ctx.train.accumulate > 1:
            raise ConfigError(
                "losscut takes a batch in one pass",
                where="train.accumulate",
                got=ctx.train.accumulate,
                want="1; train.gradient_checkpointing saves memory too",
            )

    def loss(self, denoiser: Denoiser, encoded: Encoded, t: Tensor, noise: Tensor, ctx: Context) -> Tensor:
        """The plain loss, its mean taken over the kept rows; one more network call a row, without gradient."""
        seen = Remembering(denoiser)
        losses = super().loss(seen, encoded, t, noise, ctx)
        with torch.no_grad():
            unconditional = denoiser(seen.x_t, t, empty_prompt(ctx, len(t)))
        kept = magnitude(seen.prediction.detach(), unconditional, t, ctx.backbone.scheduler) < self.threshold
        return kept_mean(losses, kept, ctx.all_rows(kept))

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """``losscut_above``: the share of training images whose magnitude reaches the threshold at the end."""
        name = "losscut_above"
        if not ctx.networks or ctx.method is None:
            return (*facts, Measurement(name=name, value=None, reason="no trained network"))
        values = trained_magnitudes(data, ctx)
        note = f"threshold {self.threshold:g}; under the trained network, one random timestep an image"
        share = float((values >= self.threshold).float().mean())
        return (*facts, Measurement(name=name, value=share, n=len(values), unit="share", note=note))


class Remembering:
    """A denoiser that remembers its last input and prediction."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser = denoiser
        self.x_t = self.prediction = torch.empty(0)

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``."""
        self.x_t, self.prediction = x_t, self.denoiser(x_t, t, cond)
        return self.prediction


def spread(data: Examples) -> Iterator[list[Example]]:
    """At most ``IMAGES`` examples, evenly spread, in chunks."""
    count = min(len(data), IMAGES)
    rows = [i * len(data) // count for i in range(count)]
    yield from ([data[row] for row in rows[start : start + CHUNK]] for start in range(0, count, CHUNK))


@torch.no_grad()
def trained_magnitudes(data: Examples, ctx: Context) -> Tensor:
    """Magnitudes of training images under the run's own denoiser, float [at most IMAGES]; drawn from the run's seed."""
    assert ctx.method is not None
    backbone, rng = ctx.backbone, ctx.seeds.torch("losscut facts")
    with ctx.seeds.ambient("denoiser"):
        denoiser = ctx.method.denoiser(ctx.networks)
    found = []
    for examples in spread(data):
        latents = backbone.encode_images(torch.stack([backbone.to_tensor(e.load()) for e in examples]))
        t = torch.randint(backbone.num_timesteps, (len(examples),), generator=rng).to(latents.device)
        noise = torch.randn(latents.shape, generator=rng).to(latents)
        x_t = backbone.scheduler.add_noise(latents, noise, t)
        conditional = denoiser(x_t, t, backbone.encode_text([e.captions[0] for e in examples]))
        unconditional = denoiser(x_t, t, empty_prompt(ctx, len(t)))
        found.append(magnitude(conditional, unconditional, t, backbone.scheduler).cpu())
    return torch.cat(found)
