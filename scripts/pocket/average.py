"""Averaged weights for short trainings."""

from __future__ import annotations

import torch
from torch import nn


def new_average(model: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """An exponential moving average whose decay grows with the number of updates.

    A constant decay would keep a visible share of the random initial weights in a training of a few thousand steps.
    """
    updates = 0

    def update(average: list[torch.Tensor], current: list[torch.Tensor], _: torch.Tensor | int) -> None:
        nonlocal updates  # counted here: reading the model's own counter would wait for the GPU
        updates += 1
        torch._foreach_lerp_(average, current, 1 - min(decay, (1 + updates) / (10 + updates)))

    return torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=update)
