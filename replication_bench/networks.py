"""Trained networks made ready to sample: precision, layout, compilation, and one at a time on the device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from replication_bench.acceleration import lay_out
from replication_bench.speed import SampleSpeed

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def moved(value: Any, dtype: torch.dtype) -> Any:
    """A floating-point tensor, or a tuple of them, in ``dtype``; anything else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(dtype)
    return tuple(moved(part, dtype) for part in value) if isinstance(value, tuple) else value


def narrow_input(
    network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Forward pre-hook: floating-point arguments in the dtype of the network's weights."""
    dtype = next(network.parameters()).dtype
    return moved(args, dtype), {name: moved(value, dtype) for name, value in kwargs.items()}


def widen_output(network: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
    """Forward hook: predictions in float32, in which the sampler computes."""
    return moved(output, torch.float32)


class Resident:
    """Keeps on the device only the network that was called last.

    The hook moves the module that it is called with, so that a copy which shares weights is moved as well.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.network: nn.Module | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Resident:
        """The same: copies of a network compete for the same device."""
        return self

    def __call__(self, network: nn.Module, args: tuple[Any, ...]) -> None:
        """Forward pre-hook."""
        if self.network is network:
            return
        if self.network is not None:
            self.network.to("cpu")
        network.to(self.device)
        self.network = network


def parked(network: nn.Module, sample: SampleSpeed) -> nn.Module:
    """The network, off the device where it has to wait for its turn."""
    return network.to("cpu") if sample.offload else network


def ready_to_sample(
    networks: Sequence[nn.Module], sample: SampleSpeed, device: torch.device
) -> tuple[nn.Module, ...]:
    """Freeze the networks and put the options of sampling on them, in place."""
    resident = Resident(device)
    for network in networks:
        network.requires_grad_(False).eval()
        if sample.precision != "fp32":
            network.to(DTYPES[sample.precision])
            network.register_forward_pre_hook(narrow_input, with_kwargs=True)
            network.register_forward_hook(widen_output)
        lay_out(network, sample.channels_last, sample.compile, device)
        if sample.offload:
            network.register_forward_pre_hook(resident)
    return tuple(networks)
