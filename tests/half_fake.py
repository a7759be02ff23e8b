"""A CUDA device without one: its tensors have shapes and no values, those of the CPU are real, and waits are noted.

What it cannot see: kernels that wait inside (a ``sort`` of CUB, say), and what a library does beside PyTorch's
dispatcher.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves

from replication_bench.training_state import TrainingState

CUDA = torch.device("cuda")
ROOT = Path(__file__).parents[1]
# their result has a size, or is a number, that only the device knows
WAITS = ("_local_scalar_dense", "nonzero", "unique", "masked_select")


class HalfFake(FakeTensorMode):
    """Within it ``cuda`` can be named. ``waits`` counts what would have made the CPU wait, by operation and place."""

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.waits: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        asked = kwargs.get("device")
        fake = any(isinstance(tensor, FakeTensor) for tensor in tensors)
        if not fake and (asked is None or torch.device(asked).type == "cpu"):
            return func(*args, **kwargs)
        if waits(str(func), args, kwargs):
            self.waits[f"{func} at {place()}"] += 1
        if "_local_scalar_dense" in str(func):
            return 1.0 if tensors[0].is_floating_point() else 1
        return super().__torch_dispatch__(func, types, args, kwargs)


def on_cuda(tensor: Tensor) -> bool:
    return isinstance(tensor, FakeTensor) and tensor.device.type == "cuda"


def waits(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the CPU goes on only when the device has come to this operation."""
    if any(word in name for word in WAITS):
        return True
    if "_to_copy" in name and kwargs.get("device") is not None:
        return torch.device(kwargs["device"]).type != args[0].device.type and not kwargs.get("non_blocking")
    if "copy_.default" in name:
        return bool(args[0].device.type != args[1].device.type) and not any(args[2:])
    if "aten.index" in name:  # a mask as an index is a nonzero
        return any(isinstance(leaf, Tensor) and leaf.dtype == torch.bool for leaf in tree_leaves(args[1]))
    return False


def place() -> str:
    """The innermost line of this project that is at work."""
    own = (
        frame
        for frame in reversed(traceback.extract_stack())
        if Path(frame.filename).is_relative_to(ROOT) and "site-packages" not in frame.filename
    )
    inner = next(frame for frame in own if frame.filename != __file__)
    return f"{Path(inner.filename).relative_to(ROOT)}:{inner.lineno}"


def moved(module: nn.Module, change: Any, recurse: bool = True) -> nn.Module:
    """In place of ``Module._apply``, which swaps the data of parameters: a real one cannot become a fake one."""
    for child in module.children():
        moved(child, change)
    for name, value in module._parameters.items():
        if value is not None:
            module._parameters[name] = nn.Parameter(change(value.detach()), value.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = change(buffer)
    return module


def gradients(state: TrainingState, loss: Tensor) -> None:
    """In place of the backward pass, whose threads do not see the mode."""
    assert on_cuda(loss)
    for group in state.optimiser.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)


@pytest.fixture
def half_fake(monkeypatch: pytest.MonkeyPatch) -> HalfFake:
    """The mode, with all in place that asks whether there is a device."""
    monkeypatch.setattr(nn.Module, "_apply", moved)
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "half fake")
    monkeypatch.setattr(Accelerator, "device", property(lambda accelerator: CUDA))
    monkeypatch.setattr(
        Accelerator, "autocast", lambda accelerator: torch.autocast("cuda", dtype=torch.bfloat16)
    )
    monkeypatch.setattr(TrainingState, "backward", gradients)
    return HalfFake()
