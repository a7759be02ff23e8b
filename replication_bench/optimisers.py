"""AdamW in its three forms: torch's, fused into one kernel, and with an 8-bit state."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from replication_bench.extras import missing, require
from replication_bench.speed import FASTER

if TYPE_CHECKING:
    import torch
    from torch import nn

    from replication_bench.config import TrainConfig

INSTALL = "replbench[8bit]"


def check_optimiser(train: TrainConfig) -> None:
    """Raise PluginError where the package of the configured optimiser is not installed; imports nothing."""
    if train.optimiser == "adamw-8bit" and find_spec("bitsandbytes") is None:
        raise missing("bitsandbytes", INSTALL, "train.optimiser=adamw-8bit")


def new_optimiser(parameters: list[nn.Parameter], train: TrainConfig) -> torch.optim.Optimizer:
    """The configured optimiser over ``parameters``, which live where they will be trained.

    Raises:
        PluginError: ``adamw-8bit`` without bitsandbytes.
    """
    import torch

    common: dict[str, Any] = {
        "lr": train.learning_rate,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "weight_decay": train.weight_decay,
    }
    if train.optimiser == "adamw-8bit":
        optimiser: torch.optim.Optimizer = require("bitsandbytes.optim", INSTALL).AdamW8bit(
            parameters, **common
        )
        return optimiser
    fused = all(p.device.type in FASTER for p in parameters) if train.fused == "auto" else train.fused
    # None leaves torch's own choice of loops, which False would change
    return torch.optim.AdamW(parameters, **common, fused=fused or None)
