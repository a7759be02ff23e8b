"""How long, in which batches and where a part of ``pocket`` trains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Job:
    images: int
    batch: int
    device: torch.device

    def steps(self, optimiser: torch.optim.Optimizer, peak_rate: float) -> Iterator[int]:
        """Step numbers; sets the rate of each: warm-up over 2 %, then half a cosine to zero."""
        torch.set_float32_matmul_precision("high")
        count = max(self.images // self.batch, 1)
        for step in range(count):
            done = step / count
            for group in optimiser.param_groups:
                group["lr"] = peak_rate * min((done + 1 / count) / 0.02, 0.5 * (1 + math.cos(math.pi * done)))
            yield step

    def report(self, name: str, step: int, loss: torch.Tensor) -> None:
        if step % 100 == 0:
            seen = step * self.batch
            print(f"{name} {seen / self.images:6.1%} images {seen} loss {loss.item():.4f}", flush=True)

    def rng(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)


def descend(
    loss: torch.Tensor,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: torch.optim.swa_utils.AveragedModel,
) -> None:
    """One step of ``optimiser`` with clipped gradients, and its average."""
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad()
    average.update_parameters(module)
