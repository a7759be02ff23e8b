"""What DP-SGD spent: the steps of a run, and epsilon from Opacus' accountants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from replication_bench.config import TrainConfig
from replication_bench.data.example import Examples
from replication_bench.extras import require
from replication_bench.method import Context, Method, Stage
from replication_bench.training import share_budget, steps

if TYPE_CHECKING:
    from baselines.dp import Dp

INSTALL = "replbench[dp]"
ACCOUNTANTS = ("rdp", "prv")
MIXING = ("dataset", "encode", "loss")
History = list[tuple[float, float, int]]


def private_history(
    noise_multiplier: float, size: int, stages: tuple[Stage, ...], train: TrainConfig
) -> History:
    """(noise multiplier, sampling rate, number of steps) of all stages: every network saw the same images."""
    rates = Counter(
        min(1.0, (stop - start) / size)
        for images in share_budget(stages, train)
        for start, stop in steps(0, images, train.batch_size)
    )
    return [(noise_multiplier, rate, count) for rate, count in rates.items()]


def spent(history: History, delta: float, accountant: str) -> float:
    """Epsilon at ``delta`` by Opacus' accountant ``rdp`` or ``prv``."""
    ledger = require("opacus.accountants", INSTALL).create_accountant(accountant)
    ledger.history = list(history)
    return float(ledger.get_epsilon(delta=delta))


def other_parts(method: Method, own: Method) -> list[Method]:
    """The parts that ``own`` is combined with."""
    return [part for part in getattr(method, "parts", (method,)) if part is not own]


def mixing_hooks(method: Method, own: Method) -> list[str]:
    """Hooks of other parts through which one image can reach the gradient of another one's row."""
    return [
        f"{type(part).__name__}.{hook}"
        for part in other_parts(method, own)
        for hook in MIXING
        if part.overrides(hook)
    ]


def missing_reason(dp: Dp, data: Examples, ctx: Context) -> str | None:
    """Why there is no epsilon; None where there is one."""
    if dp.sampling != "poisson":
        return "uniform sampling: the accountant holds for Poisson sampling"
    if dp.noise_multiplier == 0:
        return "no noise: nothing is bounded"
    if repeats := len(data) - len({example.sha256 for example in data}):
        return f"{repeats} of {len(data)} training rows repeat an image: neighbours would differ by more than one row"
    if ctx.method is None:
        return "the method of the run is not known"
    mixing = mixing_hooks(ctx.method, dp)
    return f"another part may mix training images: {', '.join(mixing)}" if mixing else None


def note(delta: float, accountant: str, size: int) -> str:
    """What must stand beside an epsilon."""
    warning = f"; delta is not below 1 / {size} images" if delta * size >= 1 else ""
    return (
        f"at delta = {delta:g}, {accountant} accountant, neighbours differ by one image; of the trained weights "
        f"alone, and only while the run's seed is secret{warning}"
    )
