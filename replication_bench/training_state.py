"""What changes while a stage trains, as one thing that a checkpoint keeps: network, averaged weights, optimiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from replication_bench.acceleration import parts, ready_to_train
from replication_bench.config import TrainConfig
from replication_bench.denoiser import UNetDenoiser
from replication_bench.method import Context, Method, Step
from replication_bench.processes import ALONE, Processes, launch, sharded
from replication_bench.store import write_atomic
from replication_bench.trained.weights import check_finite, load_optimiser, read_checkpoint


def layout(config: TrainConfig) -> TrainConfig:
    """The configuration, without channels-last where weights are cut into shards: FSDP wants them contiguous."""
    return config.model_copy(update={"channels_last": False}) if launch.sharded() else config


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, atomically. Through a handle: of a path, torch.save does not tell what the system said.

    Raises:
        StoreError: see ``write_atomic``.
    """

    def save(temporary: Path) -> None:
        with temporary.open("wb") as handle:
            torch.save(state, handle)

    write_atomic(path, save)


class TrainingState:
    """A network with its optimiser and, where asked for, its averaged weights; the same in all processes."""

    def __init__(
        self,
        network: nn.Module,
        method: Method,
        ctx: Context,
        accelerator: Accelerator,
        processes: Processes = ALONE,
    ):
        self.network, self.accelerator, self.config = network.train(), accelerator, ctx.train
        self.processes = processes
        ready_to_train(network, layout(self.config), accelerator.device)
        self.denoiser: Any
        self.denoiser, self.optimiser = accelerator.prepare(
            UNetDenoiser(network), method.optimiser(network, ctx)
        )
        self.average: dict[str, Tensor] = {}
        if self.config.ema_decay:
            self.average = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def set_rate(self, rate: float) -> None:
        """The learning rate of the next step."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def new_step(
        self, rows: int, images: int, losses: Callable[[slice], Tensor], rng: torch.Generator
    ) -> Step:
        """A step of this network, for the hook ``update``."""
        return Step(
            rows,
            images,
            losses,
            self.backward,
            self.clip,
            self.optimiser,
            rng,
            parts(rows, self.config.accumulate),
        )

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of ``loss``. The wrappers of DDP and FSDP average over processes, which is to be a sum."""
        self.accelerator.backward(loss * self.processes.count)

    def clip(self) -> None:
        """Clip the gradients to the configured norm."""
        self.accelerator.clip_grad_norm_(self.denoiser.parameters(), self.config.clip_norm)

    def follow(self) -> None:
        """Move the averaged weights towards the new ones."""
        for name, value in self.network.state_dict().items() if self.average else ():
            self.average[name].lerp_(value.detach(), 1 - self.config.ema_decay)

    def weights(self) -> dict[str, Tensor]:
        """The weights that sampling uses: the averaged ones where there are any."""
        source = sharded.whole(self.average or self.network.state_dict())
        return {name: value.detach().cpu().contiguous() for name, value in source.items()}

    def save(self, path: Path, images: int) -> None:
        """Write everything that the next step depends on, whole: other numbers of processes can go on from it.

        Raises:
            WeightsError: weights that are not finite.
        """
        parts = (self.network.state_dict(), self.average, self.optimiser.state_dict())
        network, average, optimiser = map(sharded.whole, parts)
        self.processes.first(lambda: check_finite(network, f"image {images} of {path.parent.name}"))
        state = {"images": images, "network": network, "average": average, "optimiser": optimiser}
        if self.accelerator.scaler is not None:
            # of fp16: how far losses are scaled, and for how long it went well
            state["scaler"] = self.accelerator.scaler.state_dict()
        self.processes.first(lambda: write_state(path, state))

    def restore(self, path: Path) -> int:
        """Continue from a checkpoint; returns the images seen so far, 0 without one.

        Raises:
            WeightsError: see ``read_checkpoint`` and ``load_optimiser``.
        """
        if not self.processes.first(path.exists):
            return 0
        shapes = self.network.state_dict()
        state = read_checkpoint(path, self.accelerator.device.type, shapes, bool(self.average))
        self.network.load_state_dict(sharded.like_weights(state["network"], shapes), strict=True)
        self.average = sharded.like_weights(state["average"], shapes)
        load_optimiser(self.optimiser, state["optimiser"], path)
        if self.accelerator.scaler is not None and state.get("scaler"):
            self.accelerator.scaler.load_state_dict(state["scaler"])
        return int(state["images"])
