"""What processes on several machines must have in common: one run, and one disk for it."""

from __future__ import annotations

from pathlib import Path

from replication_bench.errors import StoreError
from replication_bench.processes.group import Processes


def check_same(processes: Processes, name: str) -> None:
    """Refuse processes that mean different runs.

    Args:
        processes: all of which call this.
        name: the run's id, which ends in its fingerprint.

    Raises:
        StoreError: shows the ids.
    """
    found = processes.exchange(name)
    if len(set(found)) > 1:
        raise StoreError(
            "the processes have different data, weights or settings",
            got=" and ".join(dict.fromkeys(found)),
            want="one run: the same command and the same files on all machines",
        )


def check_seen(path: Path) -> None:
    """Refuse an output folder that is not the main process's.

    Args:
        path: a file that the main process has just written.

    Raises:
        StoreError: it is not there.
    """
    if not path.exists():
        raise StoreError(
            "a process does not see what the main one wrote",
            where=path,
            got="no such file",
            want="--out on a disk that all machines share",
        )
