"""Timestep routing: one network for the clean half, another for the noisy half (arXiv 2412.01118)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Routed(nn.Module):
    """A denoiser that sends each row to ``front`` where t < tau, else to ``tail``.

    Args:
        front: denoiser of the timesteps [0, tau).
        tail: denoiser of the timesteps [tau, T).
        tau: the first timestep of the noisy stage.
    """

    def __init__(self, front: nn.Module, tail: nn.Module, tau: int):
        super().__init__()
        self.front, self.tail, self.tau = front, tail, tau

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``; ``t`` is int64 [n] or [], and a network without rows is not called."""
        clean = t.expand(len(x_t)) < self.tau
        if clean.all() or not clean.any():
            return self.part(self.front if clean.all() else self.tail, x_t, t.expand(len(x_t)), cond)
        rows = [clean.nonzero()[:, 0], (~clean).nonzero()[:, 0]]
        parts = [
            self.part(network, x_t[index], t[index], cond[index])
            for network, index in zip((self.front, self.tail), rows, strict=True)
        ]
        return torch.cat(parts)[torch.cat(rows).argsort()]

    @staticmethod
    def part(network: nn.Module, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """The prediction of one network for its rows."""
        prediction: Tensor = network(x_t, t, cond)
        return prediction
