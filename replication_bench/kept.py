"""Tensors that are computed once: in memory by key, or on disk in files of a few hundred rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from replication_bench.processes import ALONE, Processes
from replication_bench.store import write_atomic

VERSION = 1
ROWS = 256
Key = TypeVar("Key", bound=Hashable)


class Remembered(Generic[Key]):
    """Tensors by key, each made at its first use; when ``most`` would be exceeded all are forgotten.

    Args:
        make: one tensor for each of several keys.
        most: how many are kept.
    """

    def __init__(self, make: Callable[[list[Key]], Iterable[Tensor]], most: int):
        self.make, self.most = make, most
        self.known: dict[Key, Tensor] = {}

    def __call__(self, keys: Sequence[Key]) -> Tensor:
        """The tensors of ``keys``, stacked: [n, ...]."""
        new = [key for key in dict.fromkeys(keys) if key not in self.known]
        if len(self.known) + len(new) > self.most:
            self.known.clear()
            new = list(dict.fromkeys(keys))
        if new:
            self.known.update(zip(new, self.make(new), strict=True))
        return torch.stack([self.known[key] for key in keys])


def address(kind: str, *facts: object) -> str:
    """A folder's name from everything that can change its bytes."""
    text = json.dumps([VERSION, kind, *facts])
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()}"


class Stored:
    """Float32 rows in memory-mapped .npy files of ``ROWS`` rows; a file that is there is not computed again.

    A file is always computed from the same rows, so its bits do not depend on what was there before. Several
    processes may fill one folder: each file appears whole.

    Args:
        folder: named by ``address``.
        count: rows in all.
        shape: of one row.
    """

    def __init__(self, folder: Path, count: int, shape: tuple[int, ...]):
        self.folder, self.count, self.shape = folder, count, shape
        self.files: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> Tensor:
        """One row, read from disk."""
        number, place = divmod(row, ROWS)
        if number not in self.files:
            found = self.open(number)
            assert found is not None, "fill comes first"
            self.files[number] = found
        return self.files[number][place]

    def rows(self, number: int) -> range:
        """The rows of a file."""
        return range(number * ROWS, min((number + 1) * ROWS, self.count))

    def path(self, number: int) -> Path:
        """A file."""
        return self.folder / f"{number:06d}.npy"

    def open(self, number: int) -> Tensor | None:
        """A file's rows, memory-mapped; None where it is missing or of another form."""
        try:
            array = np.load(self.path(number), mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        fits = array.shape == (len(self.rows(number)), *self.shape) and array.dtype == np.float32
        return torch.from_numpy(array) if fits else None

    def fill(
        self,
        make: Callable[[range], Tensor],
        progress: Callable[[int], None],
        processes: Processes = ALONE,
    ) -> None:
        """Compute the files that are missing.

        Args:
            make: rows of a range, float [n, ...] on any device.
            progress: told how many rows are there, supposing that the others are as quick.
            processes: take files in turn; all of them call this. Where the others' files do not arrive, since each
                machine has a disk of its own, every process computes what it misses.

        Raises:
            StoreError: the disk is full or cannot be written.
        """
        files = range(-(-self.count // ROWS))
        self.compute(files[processes.rank :: processes.count], make, progress)
        if processes.count > 1:
            processes.exchange()
            self.compute(files, make, progress)

    def compute(
        self, files: Iterable[int], make: Callable[[range], Tensor], progress: Callable[[int], None]
    ) -> None:
        """Those of ``files`` that are missing; see ``fill``."""
        for number in files:
            rows = self.rows(number)
            if self.open(number) is None:
                array = make(rows).float().cpu().numpy()
                write_atomic(self.path(number), lambda path, array=array: np.save(path, array))  # type: ignore[misc]
            progress(rows.stop)
