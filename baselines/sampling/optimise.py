"""Per-sample optimisation that stops each sample on its own, so that a batch changes no sample's result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from baselines.sampling.pairs import row
from replication_bench import ranges
from replication_bench.errors import ConfigError

Objective = Callable[[Tensor], Tensor]


class Target(NamedTuple):
    """Where the optimisation of a sample stops.

    Absolute values depend on the model, the prediction type and the size of its latents, so they do not carry over.

    Attributes:
        value: the objective's value, or with ``relative`` a share of what it was at the start.
        relative: see ``value``.
    """

    value: float
    relative: bool

    def goal(self, start: Tensor, floor: Tensor | float = 0.0) -> Tensor:
        """The value at which each sample stops, float [n]; a share is one of what lies above ``floor``."""
        return floor + self.value * (start - floor) if self.relative else torch.full_like(start, self.value)


def check_options(learning_rate: object, iterations: object, target: object, relative: object) -> None:
    """Refuse options of an optimisation that cannot be meant.

    Raises:
        ConfigError: one of them is of another type or out of range.
    """
    ranges.positive("learning_rate", learning_rate)
    ranges.integer("iterations", iterations, 1)
    ranges.positive("target", target)
    ranges.boolean("relative", relative)
    if relative and ranges.number("target", target, "a share") > 1:
        want = "a share from 0 to 1, or relative=false"
        raise ConfigError("a relative target is a share of the start", where="target", got=target, want=want)


def minimise(
    objective: Objective,
    start: Tensor,
    optimiser: Callable[[Sequence[Tensor]], torch.optim.Optimizer],
    iterations: int,
    target: Target,
    floor: Tensor | float = 0.0,
) -> Tensor:
    """Minimise ``objective`` over ``start``; a sample at or below its goal is left as it then is.

    Each evaluation sees the whole batch, since a denoiser's calls hold whole batches. The optimiser must treat
    elements independently, as Adam and AdamW do. No weight receives a gradient.

    Args:
        objective: float [n, ...] -> float [n]; row i may depend on row i alone.
        start: float [n, ...], left unchanged.
        optimiser: makes the optimiser of the values.
        iterations: most evaluations; each but one that finds every sample done is followed by a step.
        target: where a sample stops.
        floor: what a relative target leaves out of account.
    """
    values = start.detach().clone().requires_grad_()
    result, steps = start.detach(), optimiser([values])
    done = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    goal: Tensor | None = None
    with torch.enable_grad():
        for _ in range(iterations):
            losses = objective(values)
            goal = target.goal(losses.detach(), floor) if goal is None else goal
            done |= losses.detach() <= goal
            if done.all():
                break
            (values.grad,) = torch.autograd.grad(losses[~done].sum(), [values])
            steps.step()
            result = torch.where(row(done, result), result, values.detach())
    return result
