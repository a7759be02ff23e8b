"""What the keys of ``speed.py`` do to networks, tensors and the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from replication_bench.config import TrainConfig
from replication_bench.errors import ConfigError
from replication_bench.machine import choose_precision
from replication_bench.speed import CONTIGUOUS, FASTER, Backend, Switch, TrainSpeed

READ_EVERY = 20  # steps between two looks at the loss of a device that works asynchronously
AHEAD = 2
FP32 = {"no": "fp32"}  # Accelerate's name of it, and ours
Key = TypeVar("Key")
Drawn = TypeVar("Drawn")


def switched(switch: Switch, device: torch.device) -> bool:
    """Whether a switch is on; ``auto`` is on where it was measured to be faster."""
    return device.type in FASTER if switch == "auto" else switch


def trained_layout(train: TrainSpeed, device: torch.device) -> bool:
    """Whether a network is trained in channels-last."""
    return train.compile not in CONTIGUOUS and switched(train.channels_last, device)


def settled(train: TrainConfig, device: str) -> TrainConfig:
    """``train`` with what ``auto`` means on ``device`` in its place: both train the same weights to the bit."""
    where, precision = torch.device(device), choose_precision(train.precision, device)
    switches = {"fused": switched(train.fused, where), "channels_last": trained_layout(train, where)}
    return train.model_copy(update={"precision": FP32.get(precision, precision), **switches})


def lay_out(network: nn.Module, channels_last: Switch, backend: Backend, device: torch.device) -> None:
    """Memory layout and compilation of a network on ``device``, in place."""
    if switched(channels_last, device):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if backend != "no":
        # else a second network takes the graph of the first one's code as it is, hooks of methods left out
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        network.compile(backend=backend)


def ready_to_train(network: nn.Module, train: TrainSpeed, device: torch.device) -> None:
    """Put the options of training on a network, in place; its state dict keeps its names.

    Raises:
        ConfigError: gradient checkpointing of a network that cannot.
    """
    if train.gradient_checkpointing:
        enable = getattr(network, "enable_gradient_checkpointing", None)
        if enable is None:
            raise ConfigError(
                "this network has no gradient checkpointing",
                where="train.gradient_checkpointing",
                got=type(network).__name__,
                want="false",
            )
        enable()
    lay_out(network, trained_layout(train, device), train.compile, device)


def parts(rows: int, count: int) -> tuple[slice, ...]:
    """``rows`` rows in at most ``count`` slices of nearly equal size; one slice of all rows for 1."""
    if count == 1:
        return (slice(None),)
    size = -(-rows // count)
    return tuple(slice(start, min(start + size, rows)) for start in range(0, rows, size)) if rows else ()


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on ``device``; to CUDA through pinned memory, so that nobody waits."""
    if device.type == "cuda" and not tensor.is_cuda:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class LossMeter:
    """The mean loss since it was last read. Reading waits for the device, so CUDA is read only now and then."""

    def __init__(self, device: torch.device):
        self.every = READ_EVERY if device.type == "cuda" else 1
        self.sum: Tensor | float = 0.0
        self.steps, self.value = 0, float("nan")

    def add(self, loss: Tensor) -> float:
        """Take in the loss of one step, a number on any device; returns what was last read."""
        self.sum, self.steps = (loss if self.steps == 0 else self.sum + loss), self.steps + 1
        if self.steps >= self.every:
            self.value = float(self.sum) / self.steps
            self.sum, self.steps = 0.0, 0
        return self.value


def depth(prefetch: int | str, device: torch.device) -> int:
    """How many steps are drawn ahead."""
    return int(prefetch) if prefetch != "auto" else AHEAD if device.type == "cuda" else 0


def ahead(keys: Iterable[Key], draw: Callable[[Key], Drawn], steps: int) -> Iterator[tuple[Key, Drawn]]:
    """``(key, draw(key))`` in order, ``steps`` of them drawn ahead in another thread; 0 draws when asked."""
    if not steps:
        for key in keys:
            yield key, draw(key)
        return
    waiting = iter(keys)
    with ThreadPoolExecutor(1, "prefetch") as pool:

        def begin(count: int) -> list[tuple[Key, Future[Any]]]:
            return [(key, pool.submit(draw, key)) for key in islice(waiting, count)]

        begun = begin(steps)
        try:
            while begun:
                key, future = begun.pop(0)
                begun += begin(1)
                yield key, future.result()
        finally:
            for _, future in begun:
                future.cancel()
