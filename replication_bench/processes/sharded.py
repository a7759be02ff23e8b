"""Weights and optimiser states that FSDP (version 2) cut into shards: as whole tensors for files, and back.

Files hold whole tensors, so that a checkpoint is the same however many processes wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def whole(value: Any) -> Any:
    """The same with every shard replaced by the whole tensor, inside dictionaries and lists; a collective call."""
    if isinstance(value, DTensor):
        return value.full_tensor()
    if isinstance(value, Mapping):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def like(value: Any, template: Tensor) -> Any:
    """``value`` cut as ``template`` is, where that is a shard of a tensor of the same shape; a collective call."""
    if isinstance(template, DTensor) and isinstance(value, Tensor) and value.shape == template.shape:
        return distribute_tensor(value, template.device_mesh, template.placements)
    return value


def like_weights(values: Mapping[str, Tensor], templates: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``like`` by name."""
    return {
        name: like(value, templates[name]) if name in templates else value for name, value in values.items()
    }


def like_parameters(state: dict[str, Any], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state dict with the state of each parameter cut as the parameter is."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    cut = {
        index: {name: like(value, parameters[index]) for name, value in values.items()}
        for index, values in state["state"].items()
    }
    return {**state, "state": cut}
