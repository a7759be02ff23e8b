"""Processes meet before they join: those that expect unlike devices would wait for each other for ever.

They meet in the store that ``torch.distributed`` will join them through, which needs no agreement on a backend.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from replication_bench.errors import ConfigError, ReplbenchError

NEEDED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = timedelta(minutes=30)  # until the last machine has started
KEY = "replbench"


def meet(device: str, error: ReplbenchError | None = None) -> Any:
    """Wait for all processes, and refuse to join them where one cannot be or where their devices are unlike.

    Args:
        device: ``cuda`` or ``cpu``, of this process.
        error: why this process cannot join.

    Returns:
        The store, to be held until they have joined; None under MPI, which has none: there nobody is asked.

    Raises:
        ConfigError: in every process, the line of the first that cannot join, or their devices; or some never came.
    """
    if not all(os.environ.get(name) for name in NEEDED):
        if error is not None:
            raise error
        return None
    from torch import distributed

    rendezvous: Any = distributed.rendezvous  # type: ignore[attr-defined]
    try:
        store, rank, count = next(rendezvous("env://", timeout=PATIENCE))
        found = told(store, rank, count, device, error)
    except RuntimeError as failure:
        raise ConfigError(
            "the processes do not find each other",
            where="{MASTER_ADDR}:{MASTER_PORT}".format(**os.environ),
            got=str(failure).splitlines()[0],
            want=f"{os.environ['WORLD_SIZE']} processes, with the same --num_processes on all machines",
        ) from failure
    for _, line in found:
        if line:
            raise ConfigError(line) from error
    devices = [name for name, _ in found]
    if len(set(devices)) > 1:
        raise ConfigError(
            "the processes compute on unlike devices",
            got=", ".join(f"{devices.count(name)} on {name}" for name in dict.fromkeys(devices)),
            want="one kind",
            hint="Use --use_cpu on all machines, or a GPU for every process.",
        )
    return store


def told(
    store: Any, rank: int, count: int, device: str, error: ReplbenchError | None
) -> list[tuple[str, str]]:
    """What each process said through the store: its device, and why it cannot join, empty where it can."""
    store.set(f"{KEY}/{rank}", f"{device}\n{error or ''}")
    found = [store.get(f"{KEY}/{other}").decode().partition("\n") for other in range(count)]
    store.set(f"{KEY}/read/{rank}", "yes")
    if rank == 0:  # the store may end with this process
        store.wait([f"{KEY}/read/{other}" for other in range(count)])
    return [(device, line) for device, _, line in found]
