"""Feature rows in memory, in .npy files or in shards, read a block at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError


class Rows(Protocol):
    """A matrix of feature rows that gives slices and rows by number; a NumPy array is one.

    Attributes:
        shape: (rows, features).
        dtype: float32 or float16 as stored; what is read is computed with as float32.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102 -- described above

    @property
    def dtype(self) -> np.dtype[Any]: ...  # noqa: D102 -- described above

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class NpyRows:
    """The matrix in a .npy file; each read maps the file anew, so that read pages do not stay with the process.

    Args:
        path: a file that ``numpy.save`` wrote: float16, float32 or float64, two dimensions, C order.

    Raises:
        DataError: no such file, no .npy file, cut short, or another form.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        mapped = self.mapped()
        if mapped.ndim != 2 or mapped.dtype.kind != "f":
            got = f"{mapped.dtype} {list(mapped.shape)}"
            raise DataError("not a matrix of features", where=path, got=got, want="floats [rows, features]")
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype = mapped.dtype

    def mapped(self) -> Any:
        """The file as a read-only memory map; see the class for what is raised."""
        try:
            if not self.path.stat().st_size:
                raise ValueError("the file is empty")
            return np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DataError(
                "the feature file cannot be read", where=self.path, got=reason, want="a .npy file"
            ) from error

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.array(self.mapped()[key])


class ShardedRows:
    """Several matrices of one width, one below the other.

    Raises:
        DataError: no part, or parts of unlike widths.
    """

    def __init__(self, parts: Sequence[Rows]):
        widths = sorted({part.shape[1] for part in parts})
        if len(widths) != 1:
            raise DataError("shards must have one width", got=f"widths {widths}", want="equal, at least one")
        self.parts = list(parts)
        self.starts = np.cumsum([0, *(len(part) for part in parts)])
        self.shape: tuple[int, ...] = (int(self.starts[-1]), widths[0])
        self.dtype = np.result_type(*(part.dtype for part in parts))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            return self.span(start, max(start, stop))[::step]
        return self.take(np.asarray(key))

    def span(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop)."""
        pieces = [
            part[max(start - first, 0) : stop - first]
            for part, first in zip(self.parts, self.starts[:-1], strict=True)
            if first < stop and first + len(part) > start
        ]
        return np.concatenate(pieces) if pieces else np.zeros((0, self.shape[1]), self.dtype)

    def take(self, ids: NDArray[np.int64]) -> NDArray[Any]:
        """Rows by number, in the order asked for."""
        out = np.empty((*ids.shape, self.shape[1]), self.dtype)
        owner = np.searchsorted(self.starts, ids, side="right") - 1
        for number in np.unique(owner):
            mine = owner == number
            out[mine] = self.parts[number][ids[mine] - self.starts[number]]
        return out


def open_rows(source: str | Path | Sequence[str | Path]) -> Rows:
    """Rows of a .npy file, or of several as shards in the order given, without reading them.

    Raises:
        DataError: see ``NpyRows`` and ``ShardedRows``.
    """
    if isinstance(source, str | Path):
        return NpyRows(source)
    return ShardedRows([NpyRows(path) for path in source])


def check_shape(rows: Rows, name: str, least: int = 0, width: int | None = None) -> None:
    """Refuse what is no matrix of at least ``least`` rows of ``width`` features; see ``check_rows``."""
    if len(rows.shape) != 2:
        raise DataError(
            f"{name} rows must be a matrix", got=f"shape {tuple(rows.shape)}", want="[rows, features]"
        )
    if width is not None and rows.shape[1] != width:
        raise DataError(f"{name} rows have another width", got=f"{rows.shape[1]} features", want=f"{width}")
    if len(rows) < least:
        raise DataError(f"too few {name} rows", got=len(rows), want=f"at least {least}")


def check_finite(block: NDArray[Any], name: str, first: int = 0) -> NDArray[np.float32]:
    """A block as contiguous float32 [n, d]; ``first`` is the number of its first row.

    Raises:
        DataError: a row that is not finite.
    """
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity and is told below
        block = np.ascontiguousarray(block, dtype=np.float32)
    # a sum is finite unless a value is not (or values near float32's limit overflow it): one pass, no copy
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = not np.isfinite(block.sum())
    bad = np.flatnonzero(~np.isfinite(block).all(axis=1)) if doubtful else np.zeros(0, np.int64)
    if len(bad):
        raise DataError(
            f"{name} rows hold NaN or infinity", got=f"{len(bad)} such rows, first {bad[0] + first}"
        )
    return block


def check_rows(
    rows: NDArray[Any], name: str, least: int = 0, width: int | None = None
) -> NDArray[np.float32]:
    """Feature rows as contiguous float32 [n, d].

    Raises:
        DataError: not two-dimensional, another width, too few rows, or a row that is not finite.
    """
    check_shape(rows, name, least, width)
    return check_finite(rows, name)


def read_block(rows: Rows, start: int, size: int, name: str) -> NDArray[np.float32]:
    """Rows [start, start + size) as contiguous float32, as far as there are.

    Raises:
        DataError: a row that is not finite.
    """
    return check_finite(rows[start : start + size], name, start)
