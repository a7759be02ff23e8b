"""Training steps that can be interrupted: to go on, run the same command.

The random draws of a step depend on the seed and the step's number alone, so that a checkpoint needs no more than
weights, optimiser and number.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SECONDS = 60


def be_deterministic(seed: int) -> None:
    """Equal seeds on equal devices give equal weights."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def draws(seed: int, step: int, device: Any = "cpu") -> torch.Generator:
    """The generator of one step."""
    return torch.Generator(device=device).manual_seed(seed * 1_000_003 + step)


def shuffled(step: int, size: int, count: int, seed: int) -> Tensor:
    """The ``size`` rows of a step, of ``count``: every row once before any twice."""
    places = torch.arange(step * size, (step + 1) * size)
    passes = [int(number) for number in (places // count).unique()]
    orders = {number: torch.randperm(count, generator=draws(seed, -1 - number)) for number in passes}
    return torch.stack([orders[int(place) // count][int(place) % count] for place in places])


def schedule(done: float) -> float:
    """Warm-up over 3 %, then half a cosine."""
    return min(done / 0.03 + 0.01, 0.5 * (1 + math.cos(math.pi * min(1.0, done))) + 0.005)


def optimiser(groups: Iterable[tuple[list[torch.nn.Parameter], float]]) -> torch.optim.Optimizer:
    """AdamW with a peak rate a group."""
    parts = [{"params": part, "lr": rate, "peak": rate} for part, rate in groups]
    return torch.optim.AdamW(parts, betas=(0.9, 0.98), weight_decay=0.05)


class Checkpoint:
    """Weights, optimiser and the number of steps done; of another run (``key``) it is not read."""

    def __init__(self, path: Path, key: str, model: Any, adam: torch.optim.Optimizer):
        self.path, self.key, self.model, self.adam = path, key, model, adam
        self.last = time.monotonic()

    def read(self) -> int:
        """Steps done."""
        if not self.path.is_file():
            return 0
        found = torch.load(self.path, map_location="cpu", weights_only=True)
        if found["key"] != self.key:
            return 0
        self.model.load_state_dict(found["model"])
        self.adam.load_state_dict(found["adam"])
        return int(found["step"])

    def write(self, step: int, now: bool = False) -> None:
        """Where a minute has passed, or ``now``; under another name until it is whole."""
        if not now and time.monotonic() - self.last < SECONDS:
            return
        temporary = self.path.with_suffix(".partial")
        state = {
            "key": self.key,
            "step": step,
            "model": self.model.state_dict(),
            "adam": self.adam.state_dict(),
        }
        torch.save(state, temporary)
        os.replace(temporary, self.path)
        self.last = time.monotonic()


def run(
    steps: int,
    checkpoint: Checkpoint,
    loss: Callable[[int], Tensor],
    tell: Callable[[], str] = str,
) -> None:
    """All steps that are missing; prints the loss and what ``tell`` says forty times."""
    model, adam = checkpoint.model, checkpoint.adam
    first, start = checkpoint.read(), time.monotonic()
    for step in range(first, steps):
        for group in adam.param_groups:
            group["lr"] = group["peak"] * schedule(step / steps)
        value = loss(step)
        adam.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if step % max(1, steps // 40) == 0 or step == steps - 1:
            rate = (step + 1 - first) / (time.monotonic() - start)
            line = f"{(step + 1) / steps:6.1%} loss {value.item():.4f} {rate:.2f} steps/s"
            print(line, tell(), flush=True)
        checkpoint.write(step + 1)
    checkpoint.write(steps, now=True)
