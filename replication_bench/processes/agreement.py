"""What processes on several machines must have in common: one run, one arithmetic, and one disk for it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from replication_bench.errors import StoreError
from replication_bench.processes.group import Processes
from replication_bench.store import write_atomic


def check_same(processes: Processes, name: str, device: str, precision: str) -> None:
    """Refuse processes that mean different runs, or would compute one differently.

    Args:
        processes: all of which call this.
        name: the run's id, which ends in its fingerprint.
        device: ``cuda`` or ``cpu``.
        precision: Accelerate's name of the mixed precision.

    Raises:
        StoreError: shows what differs.
    """
    names, devices, precisions = zip(*processes.exchange((name, device, precision)), strict=True)
    for found, what, want in (
        (
            names,
            "the processes have different data, weights or settings",
            "one run: the same command and the same files on all machines",
        ),
        (devices, "the processes compute on unlike devices", "one kind on all machines"),
        (
            precisions,
            "the processes compute in unlike mixed precisions",
            "one, as --set train.precision=fp32 or bf16 gives it",
        ),
    ):
        if len(set(found)) > 1:
            raise StoreError(what, got=" and ".join(dict.fromkeys(found)), want=want)


def check_seen(processes: Processes, folder: Path) -> None:
    """Refuse an output folder that is not the main process's.

    The main process writes a file of a name that never was before: what an earlier attempt left proves nothing.

    Args:
        processes: all of which call this.
        folder: that the run writes into.

    Raises:
        StoreError: the file cannot be written, or a process does not see it.
    """
    if processes.count == 1:
        return
    path = folder / f".seen-{processes.first(lambda: uuid4().hex)}"
    try:
        processes.first(lambda: write_atomic(path, lambda temporary: temporary.touch()))
        with processes.together():
            check_there(path)
    finally:
        if processes.is_main:
            path.unlink(missing_ok=True)


def check_there(path: Path) -> None:
    """Raise StoreError where this process does not see ``path``."""
    if not path.exists():
        raise StoreError(
            "a process does not see what the main one wrote",
            where=path.parent,
            got="another folder of that name",
            want="--out on a disk that all machines share",
        )
