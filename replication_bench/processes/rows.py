"""The rows of a training step on several processes, so that the step is the one that a single process takes.

Everything drawn for a step is drawn for all its rows in every process. Each then computes the losses of its own rows,
and the values of the others' are put beside them as constants. Whatever a method makes of all the losses, the gradients
that the processes have of it add up to the whole gradient.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed

from replication_bench.processes.group import Processes

AllRows = Callable[[Tensor], Tensor]


def unchanged(values: Tensor) -> Tensor:
    """The rows at hand are all rows."""
    return values


def gather(own: Tensor, rows: range, processes: Processes) -> list[Tensor]:
    """The values [m, ...] of every process's part of ``rows``, by rank, without gradient."""
    sizes = [len(Processes(processes.count, rank).part(rows)) for rank in range(processes.count)]
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: len(own)] = own.detach()
    found = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(found, padded)
    return [values[:size] for values, size in zip(found, sizes, strict=True)]


def split_losses(processes: Processes, rows: range, compute: Callable[[slice, AllRows], Tensor]) -> Tensor:
    """The losses of ``rows``, float [m]; those of other processes' rows have no gradient.

    Args:
        processes: among which the rows are cut.
        rows: of the step.
        compute: the losses of a slice of the step's rows, float [k]; its second argument turns values of
            these rows into those of all ``rows``.
    """
    if processes.count == 1:
        return compute(slice(rows.start, rows.stop), unchanged)
    own = processes.part(rows)
    # gradients are exchanged by whoever computes some: a process without rows joins in with one that counts nothing
    shown = own or rows[:1]
    found = compute(
        slice(shown.start, shown.stop),
        lambda values: torch.cat(gather(values[: len(own)], rows, processes)),
    )
    parts = gather(found[: len(own)], rows, processes)
    if not own:
        return torch.cat(parts) + 0 * found.sum()
    return torch.cat([*parts[: processes.rank], found, *parts[processes.rank + 1 :]])
