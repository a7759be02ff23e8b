"""Both predictions of classifier-free guidance, and how far the prompt moves the one from the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from replication_bench.denoiser import Denoiser
from replication_bench.method import Conditioning, Context
from replication_bench.prediction import noise_of


class Pair(NamedTuple):
    """Unconditional and conditional prediction of the same latents, each float [n, c, h, w]."""

    uncond: Tensor
    cond: Tensor

    def guided(self, scale: float | Tensor) -> Tensor:
        """Classifier-free guidance; the same arithmetic, to the bit, as ``Method.guide``."""
        return self.uncond + scale * (self.cond - self.uncond)


def predict_pair(denoiser: Denoiser, x_t: Tensor, t: Tensor, states: Conditioning) -> Pair:
    """Both predictions in one call of 2n rows, the unconditional half first."""
    both = denoiser(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([states.uncond, states.cond]))
    return Pair(*both.chunk(2))


def noise_difference(pair: Pair, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """eps_c - eps_0, float [n, c, h, w], whatever the prediction type."""
    return noise_of(pair.cond, x_t, t, scheduler) - noise_of(pair.uncond, x_t, t, scheduler)


def norms(values: Tensor) -> Tensor:
    """Euclidean norm of each row, float [n]."""
    return torch.linalg.vector_norm(values.flatten(1), dim=1)


def magnitude(pair: Pair, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """Wen's magnitude ||eps_c - eps_0||_2 of each row, float [n] (arXiv 2407.21720, section 3)."""
    return norms(noise_difference(pair, x_t, t, scheduler))


def row(values: Tensor, like: Tensor) -> Tensor:
    """One number a row, shaped so that it multiplies ``like``: [n] -> [n, 1, ...]."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def first_timesteps(ctx: Context, rows: int) -> Tensor:
    """The sampler's noisiest timestep for every row, int64 [rows]."""
    return ctx.samples.timesteps[:1].expand(rows)
