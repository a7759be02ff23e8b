"""Averaged weights for short trainings."""

from __future__ import annotations

import torch
from torch import nn


def new_average(model: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """An exponential moving average whose decay grows with the number of updates.

    A constant decay would keep a visible share of the random initial weights in a training of a few thousand steps.
    """

    def update(average: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
        n = float(count)
        return average.lerp(current, 1 - min(decay, (1 + n) / (10 + n)))

    return torch.optim.swa_utils.AveragedModel(model, avg_fn=update)
