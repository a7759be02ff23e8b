"""How far the prompt moves the prediction, and rows as vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from replication_bench.denoiser import Pair
from replication_bench.method import Context
from replication_bench.prediction import noise_of

TINY = 1e-12


def noise_difference(pair: Pair, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """eps_c - eps_0, float [n, c, h, w], whatever the prediction type."""
    return noise_of(pair.cond, x_t, t, scheduler) - noise_of(pair.uncond, x_t, t, scheduler)


def norms(values: Tensor) -> Tensor:
    """Euclidean norm of each row, float [n]."""
    return torch.linalg.vector_norm(values.flatten(1), dim=1)


def direction(values: Tensor) -> Tensor:
    """Each row brought to length 1; a row of zeros stays one."""
    return values / row(norms(values), values).clamp_min(TINY)


def magnitude(pair: Pair, x_t: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """Wen's magnitude ||eps_c - eps_0||_2 of each row, float [n] (arXiv 2407.21720, section 3)."""
    return norms(noise_difference(pair, x_t, t, scheduler))


def row(values: Tensor, like: Tensor) -> Tensor:
    """One number a row, shaped so that it multiplies ``like``: [n] -> [n, 1, ...]."""
    return values.view(-1, *(1,) * (like.ndim - 1))


def first_timesteps(ctx: Context, rows: int) -> Tensor:
    """The sampler's noisiest timestep for every row, int64 [rows]."""
    return ctx.samples.timesteps[:1].expand(rows)
