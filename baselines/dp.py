"""The method ``dp``: differentially private training of the network, DP-SGD through Opacus.

Abadi et al. (arXiv 1607.00133): per-example gradients are clipped, summed, and Gaussian noise is added before the
optimiser sees them; for diffusion models Dockhorn et al. (arXiv 2210.09929).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from baselines.privacy import ACCOUNTANTS, INSTALL, missing_reason, note, private_history, spent
from replication_bench.data.example import Examples
from replication_bench.errors import ConfigError
from replication_bench.extras import require
from replication_bench.method import Context, Method, Step
from replication_bench.ranges import at_least, integer, one_of, positive
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds

SAMPLINGS = ("poisson", "uniform")


def watch(module: nn.Module) -> None:
    """Have every backward pass leave the gradient of each row in ``parameter.grad_sample``.

    Opacus' hooks sit on the layers themselves, so no name in the state dict changes.

    Raises:
        ConfigError: a trained layer that mixes the rows of a batch.
    """
    hooks = require("opacus.grad_sample.grad_sample_module", INSTALL).GradSampleHooks
    try:
        hooks(module, loss_reduction="sum", strict=True)
    except NotImplementedError as error:
        raise ConfigError("a layer has no gradients of single rows", where="methods.dp", got=error) from error


def empty_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Gradients of no rows: the noise of an empty draw is added all the same, else the draw would show."""
    for parameter in parameters:
        parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))  # type: ignore[attr-defined]


def chunks(rows: int, size: int) -> list[slice]:
    """``rows`` rows in slices of at most ``size``."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


@dataclass(frozen=True)
class Dp(Method):
    """DP-SGD: each row's gradient is clipped to ``max_grad_norm``, noise of ``noise_multiplier`` times it is added.

    The configured clip norm of the harness is not used.

    Attributes:
        noise_multiplier: standard deviation of the noise on the summed gradient, in units of ``max_grad_norm``.
        max_grad_norm: largest norm of one row's gradient over all trained weights.
        sampling: ``poisson`` draws each example independently, as the accountant assumes; ``uniform`` draws each
            epoch as a permutation, as every other method, and no epsilon is told.
        physical: rows whose gradients are held at once; no result depends on it but in the last bits.
        delta: of the guarantee; should be well below one over the number of training images.
        accountant: ``rdp`` or the tighter, slower ``prv``.

    Raises:
        ConfigError: a value out of range.
    """

    summary: ClassVar[str] = "DP-SGD: clipped per-example gradients with Gaussian noise"
    paper: ClassVar[str] = "arXiv 1607.00133 (CCS 2016); for diffusion models arXiv 2210.09929"
    needs: ClassVar[tuple[tuple[str, str], ...]] = (("opacus", INSTALL),)

    noise_multiplier: float = 1.0
    max_grad_norm: float = 1.0
    sampling: str = "poisson"
    physical: int = 8
    delta: float = 1e-5
    accountant: str = "rdp"

    def __post_init__(self) -> None:
        at_least("noise_multiplier", self.noise_multiplier, 0)
        positive("max_grad_norm", self.max_grad_norm)
        one_of("sampling", self.sampling, SAMPLINGS)
        integer("physical", self.physical, 1)
        positive("delta", self.delta)
        if self.delta >= 1:
            raise ConfigError("out of range", where="delta", got=self.delta, want="below 1")
        one_of("accountant", self.accountant, ACCOUNTANTS)

    def check(self, ctx: Context) -> None:
        """Refuse to begin where training could not.

        Raises:
            ConfigError: the gradients of single rows would be wrong or absent: scaled losses, activations that are
                computed again, compiled layers, several processes.
        """
        if ctx.train.gradient_checkpointing:
            raise ConfigError(
                "dp needs the activations of one pass",
                where="train.gradient_checkpointing",
                got="true",
                want="false; methods.dp.physical=1 saves memory",
            )
        if ctx.train.compile != "no":
            raise ConfigError(
                "dp needs the layers as they are", where="train.compile", got=ctx.train.compile, want="no"
            )
        if ctx.train.precision == "fp16":
            raise ConfigError(
                "dp cannot scale losses", where="train.precision", got="fp16", want="fp32 or bf16"
            )
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            count = torch.distributed.get_world_size()
            if count > 1:
                raise ConfigError("dp trains in one process", got=f"{count} processes", want="1")

    def order(self, size: int, start: int, stop: int, seeds: Seeds) -> list[int]:
        """Poisson sampling: each example with probability (stop - start) / size, so the draw may be empty."""
        if self.sampling == "uniform":
            return super().order(size, start, stop, seeds)
        drawn: list[int] = np.flatnonzero(
            seeds.numpy("poisson", start).random(size) < (stop - start) / size
        ).tolist()
        return drawn

    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        """AdamW as configured inside Opacus' DPOptimizer; puts the hooks on ``module``."""
        private = require("opacus.optimizers", INSTALL).DPOptimizer
        watch(module)
        optimiser: torch.optim.Optimizer = private(
            super().optimiser(module, ctx),
            noise_multiplier=self.noise_multiplier,
            max_grad_norm=self.max_grad_norm,
            expected_batch_size=ctx.train.batch_size,
        )
        return optimiser

    def update(self, step: Step, ctx: Context) -> Tensor:
        """Clip and sum the rows' gradients ``physical`` at a time, add noise, divide by the expected rows, step."""
        assert ctx.training is not None
        private: Any = getattr(step.optimiser, "optimizer", step.optimiser)
        # a rate cannot exceed 1: a batch larger than the set is all of the set
        poisson = self.sampling == "poisson"
        private.expected_batch_size = min(step.images, len(ctx.training)) if poisson else step.images
        device = private.params[0].device
        seed = int(torch.randint(2**62, (), generator=step.rng))
        private.generator = torch.Generator(device).manual_seed(seed)
        losses = [self.accumulate(step, private, rows) for rows in chunks(step.rows, self.physical)]
        if not losses:
            empty_gradients(private.params)
            private.step()
            private.zero_grad()
        return torch.cat(losses) if losses else torch.zeros(0)

    def accumulate(self, step: Step, private: Any, rows: slice) -> Tensor:
        """The clipped gradients of some rows; with the last ones, the noise and the step."""
        losses = step.losses(rows)
        with warnings.catch_warnings():
            # the first layers' inputs need no gradient; Opacus does not use it
            warnings.filterwarnings("ignore", "Full backward hook is firing")
            step.backward(losses.sum())
        private.signal_skip_step(do_skip=rows.stop < step.rows)
        private.step()
        private.zero_grad()
        return losses.detach()

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """``epsilon``: what the trained weights spent at ``delta``; missing where no bound holds."""
        reason = missing_reason(self, data, ctx)
        if reason is not None:
            return (*facts, Measurement(name="epsilon", value=None, reason=reason, better="down"))
        assert ctx.method is not None
        stages = ctx.method.stages(ctx.backbone.num_timesteps)
        history = private_history(self.noise_multiplier, len(data), stages, ctx.train)
        value = spent(history, self.delta, self.accountant)
        found = Measurement(
            name="epsilon",
            value=value,
            n=len(data),
            unit="nats",
            better="down",
            note=note(self.delta, self.accountant, len(data)),
        )
        return (*facts, found)
