"""Which network a row of a batch belongs to. Part of what an exported pipeline carries: see ``routed_unet``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def route(
    networks: Sequence[Callable[[Tensor, Tensor, Tensor], Tensor]],
    starts: Sequence[int],
    x_t: Tensor,
    t: Tensor,
    cond: Tensor,
) -> Tensor:
    """Each row through the last network that does not start above its timestep; one without rows is not called.

    ``t`` is int64 [n] or []; rows may have different timesteps.
    """
    t = t.expand(len(x_t))
    stages = torch.stack([t >= start for start in starts]).sum(0) - 1
    used = stages.unique().tolist()
    if len(used) == 1:
        return networks[used[0]](x_t, t, cond)
    rows = [(stages == stage).nonzero()[:, 0] for stage in used]
    parts = [
        networks[stage](x_t[index], t[index], cond[index]) for stage, index in zip(used, rows, strict=True)
    ]
    return torch.cat(parts)[torch.cat(rows).argsort()]
