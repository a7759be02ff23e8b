"""Ways of doing one thing, timed in turns so that other work on the machine slows all of them, and their memory."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

MIB = 2**20


class Way(NamedTuple):
    """Seconds of each round, and memory of a call above what was held before; None where it cannot be told."""

    times: tuple[float, ...]
    memory: int | None

    @property
    def seconds(self) -> float:
        """The median over the rounds, so that one disturbed round does no harm."""
        return median(self.times)

    def over(self, other: Way) -> float:
        """The median of the ratios of seconds within one round of one race.

        Two ways that differ by a few percent need such ratios: both sides saw the same disturbance.
        """
        return median(own / base for own, base in zip(self.times, other.times, strict=True))


def wait(device: torch.device) -> None:
    """Until the device has done all that it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock() -> Callable[[], float]:
    """Wall time; CPU time of this process with REPLBENCH_CLOCK=cpu, for a machine that others share."""
    return time.process_time if os.environ.get("REPLBENCH_CLOCK") == "cpu" else time.perf_counter


def seconds(work: Callable[[], object], device: torch.device) -> float:
    now = clock()
    wait(device)
    start = now()
    work()
    wait(device)
    return now() - start


def held(field: str) -> int:
    """A field of /proc/self/status, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def forget_peak(device: torch.device) -> int | None:
    """Let the peak begin anew (on Linux proc(5)); returns what is held now."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier ways have freed must not be lent to the next one
        Path("/proc/self/clear_refs").write_text("5")
        return held("VmRSS")
    except (OSError, AttributeError):
        return None


def peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else held("VmHWM")


def extra_memory(work: Callable[[], object], device: torch.device) -> int | None:
    before = forget_peak(device)
    work()
    wait(device)
    return None if before is None else peak(device) - before


def race(ways: Mapping[str, Callable[[], object]], device: torch.device, rounds: int) -> dict[str, Way]:
    """Each way once for its memory (and to warm up), then ``rounds`` times in turns.

    The order turns as well.
    """
    memory = {name: extra_memory(work, device) for name, work in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(rounds):
        for name in order if number % 2 else reversed(order):
            times[name].append(seconds(ways[name], device))
    return {name: Way(tuple(times[name]), memory[name]) for name in ways}


def forget(device: torch.device) -> None:
    """Give back what deleted networks held."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def machine(device: torch.device) -> str:
    """One line that belongs above every number."""
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    load = os.getloadavg()[0]
    return (
        f"{where}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"load {load:.1f} before the start"
    )


def megabytes(memory: int | None) -> str:
    return "-" if memory is None else f"{memory / MIB:,.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table that is readable as it is: the first column left, the others right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first, *others = zip(row, widths, strict=True)
        return "| " + " | ".join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)]) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(widths)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])
