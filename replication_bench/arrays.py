"""Feature arrays that a user brings: read safely, checked before anything is computed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replication_bench.errors import DataError
from replication_bench.metrics.metric import Rows

LARGEST = 1e18


class Arrays(NamedTuple):
    """Feature rows float [g, d], [t, d], [h, d]; no held-out rows are [0, d]."""

    generated: Rows
    train: Rows
    heldout: Rows

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the three arrays."""
        digest = hashlib.sha256()
        for rows in self:
            digest.update(f"{rows.dtype.str}{rows.shape}".encode())
            digest.update(np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()

    @property
    def dataset_fingerprint(self) -> str:
        """SHA-256 over the real rows: scores of one data set can be compared."""
        return Arrays(self.train[:0], self.train, self.heldout).fingerprint


def read_npy(path: Path) -> NDArray[np.generic]:
    """The array of an .npy file; a pickled one is refused unread.

    Raises:
        DataError: no file, no .npy file, a damaged or a pickled one.
    """
    try:
        with path.open("rb") as handle:
            magic = handle.read(6)
        if magic != b"\x93NUMPY":
            raise DataError(
                "the file is no NumPy array", where=path, got=kind_of(magic), hint="Write it with numpy.save."
            )
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except OSError as error:
        raise DataError("the array cannot be read", where=path, got=error.strerror or error) from error
    except (ValueError, EOFError) as error:
        raise pickled(path) if "allow_pickle" in str(error) else damaged(path, error) from error
    return array


def kind_of(magic: bytes) -> str:
    """What a file without NumPy's magic seems to be."""
    if magic[:2] == b"PK":
        return "a zip archive, as numpy.savez writes"
    if magic[:1] == b"\x80":
        return "a pickle, which is never loaded"
    return "an empty file" if not magic else "another format"


def pickled(path: Path) -> DataError:
    """An object array."""
    return DataError(
        "the array holds Python objects, which are never unpickled",
        where=path,
        want="numbers [rows, features]",
        hint="Save it as numbers, for example with array.astype('float32').",
    )


def damaged(path: Path, error: Exception) -> DataError:
    """A file that ends early or has a broken header."""
    return DataError("the array is damaged", where=path, got=error)


def check_features(array: NDArray[np.generic], where: object, least: int, width: int | None = None) -> Rows:
    """``array`` as float32 or float64 rows [n, d].

    Raises:
        DataError: no numbers, not two-dimensional, another width, too few rows, or rows that cannot be compared.
    """
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise DataError("features must be numbers", where=where, got=array.dtype, want="floats or integers")
    if array.ndim != 2:
        raise DataError(
            "features must be a matrix", where=where, got=f"shape {array.shape}", want="[rows, features]"
        )
    if array.shape[1] == 0 or (width is not None and array.shape[1] != width):
        want = "as many as the generated rows have, " + str(width) if width is not None else "at least 1"
        raise DataError("the number of features does not fit", where=where, got=array.shape[1], want=want)
    if len(array) < least:
        raise DataError("too few rows", where=where, got=len(array), want=f"at least {least}")
    wide = np.promote_types(array.dtype, np.float32)
    rows = array.astype(wide if wide in (np.float32, np.float64) else np.float64)
    check_values(rows, where)
    return rows


def check_values(rows: Rows, where: object) -> None:
    """Refuse rows that are not finite, too large to square, or zero, so that they have no direction.

    Raises:
        DataError: the first such row, and how many there are.
    """
    faults = {
        "rows hold NaN or infinity": ~np.isfinite(rows).all(axis=1),
        f"rows hold values beyond {LARGEST:g}": (np.abs(rows) > LARGEST).any(axis=1),
        "rows are all zero and have no direction": ~rows.any(axis=1),
    }
    for what, bad in faults.items():
        if bad.any():
            raise DataError(what, where=where, got=f"{int(bad.sum())} such rows, first {int(bad.argmax())}")


def read_arrays(generated: Path, train: Path, heldout: Path | None, k: int) -> Arrays:
    """Read and check the arrays of ``replbench score``; they come back in one type.

    Args:
        generated: .npy of features [g, d].
        train: .npy of features [t, d].
        heldout: .npy of features [h, d], or None.
        k: neighbours; both generated and training rows must be more than that.

    Raises:
        DataError: one line that names the file, what is there and what was wanted.
    """
    ours = check_features(read_npy(generated), generated, k + 1)
    width = ours.shape[1]
    real = check_features(read_npy(train), train, k + 1, width)
    if heldout is None:
        return as_one_type(ours, real, real[:0])
    others = check_features(read_npy(heldout), heldout, 1, width)
    check_apart(real, others, heldout)
    return as_one_type(ours, real, others)


def as_one_type(generated: Rows, train: Rows, heldout: Rows) -> Arrays:
    """The rows in the widest type of the three: k-means fitted to one type refuses rows of another."""
    wide = np.result_type(generated, train, heldout)
    return Arrays(*(rows.astype(wide, copy=False) for rows in (generated, train, heldout)))


def digests(rows: Rows) -> Iterator[bytes]:
    """A short name for each row; equal where the numbers are as float32, whatever the file's precision."""
    for row in rows:
        # adding 0 turns a negative zero, which has other bytes, into a positive one
        yield hashlib.blake2b((row.astype(np.float32) + 0.0).tobytes(), digest_size=16).digest()


def check_apart(train: Rows, heldout: Rows, where: object) -> None:
    """Refuse held-out rows that are training rows: the floor would be that of copies.

    Raises:
        DataError: the first such row, and how many there are.
    """
    known: dict[bytes, int] = {}
    for place, name in enumerate(digests(train)):
        known.setdefault(name, place)
    shared = [(place, known[name]) for place, name in enumerate(digests(heldout)) if name in known]
    if shared:
        first, same = shared[0]
        raise DataError(
            "held-out rows that are training rows",
            where=where,
            got=f"{len(shared)} of {len(heldout)} shared, first row {first} = training row {same}",
            want="none shared",
            hint="Take them out of one of the two arrays.",
        )
