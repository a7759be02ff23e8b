"""Where artefacts lie, and how they are written: atomically, under a lock, never half."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from replication_bench.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray


# numpy.save tells how far it came, and never why
PART = re.compile(r"requested and \d+ written|problem writing element")


def unwritable(path: Path, error: OSError) -> StoreError:
    """What the user is told when ``path`` cannot be written."""
    in_cache = path.absolute().is_relative_to(cache_folder().absolute())
    other = "set REPLBENCH_CACHE to another folder" if in_cache else "choose another --out"
    part = "only a part of the file fits" if PART.search(str(error)) else str(error)
    return StoreError(
        "cannot write",
        where=path,
        got=error.strerror or part,
        hint=f"Free space or {other}, then run the same command: what is finished is kept.",
    )


RUST = re.compile(r"\(os error (\d+)\)")  # how its standard library ends what the system says


def disk_error(error: Exception) -> OSError | None:
    """What the system said, whatever the library that wrote made of it; None where it said nothing."""
    if isinstance(error, OSError):
        return error
    # torch.save, which complains of a wrong position afterwards
    if type(error) is RuntimeError and isinstance(error.__context__, OSError):
        return error.__context__
    code = RUST.search(str(error))  # safetensors
    return OSError(int(code[1]), os.strerror(int(code[1]))) if code else None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """StoreError where the disk does not take ``path``; every other error as it is."""
    try:
        yield
    except Exception as error:
        reason = disk_error(error)
        if reason is None:
            raise
        raise unwritable(path, reason) from error


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary sibling of ``path``, then rename it: a reader sees all of the file or none.

    Raises:
        StoreError: the folder cannot be written, or the file not in full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(0o644)  # temporary files are born private
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


LEFT = re.compile(r"\..+-[a-z0-9_]{8}(\.\w+)?")  # what ``tempfile`` makes of the names here


def sweep(folder: Path) -> None:
    """Remove the temporaries that killed processes left in ``folder``; only for who holds its lock."""
    for path in [path for path in folder.rglob(".*") if LEFT.fullmatch(path.name)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Give a file a second name that lives on when the first is removed; a copy where the disk knows no such thing.

    Files are replaced and never written into, so neither name can change what the other holds.

    Raises:
        FileNotFoundError: there is no ``source``.
        StoreError: ``target`` cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
            temporary = Path(folder) / target.name
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)
            temporary.replace(target)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unwritable(target, error) from error


def check_replaceable(path: Path, ours: Callable[[Path], bool]) -> None:
    """Whether a new folder may take the name ``path``: nothing is there, an empty folder, or one that is ``ours``.

    Raises:
        StoreError: something else is there.
    """
    if path.is_dir() and (ours(path) or not any(path.iterdir())):
        return
    if path.exists() or path.is_symlink():
        raise StoreError(
            "something else is there",
            where=path,
            want="a new or empty folder, or an earlier one of the same command",
            hint="Choose another folder.",
        )


def write_folder(path: Path, write: Callable[[Path], object], ours: Callable[[Path], bool]) -> None:
    """Let ``write`` fill a temporary sibling of ``path``, then rename it: a reader sees all of the folder or none.

    Args:
        path: the folder; one that is there is replaced as a whole where ``check_replaceable`` allows it.
        write: fills the empty folder that it is given.
        ours: see ``check_replaceable``.

    Raises:
        StoreError: something else is there, or the folder cannot be written in full.
    """
    path = path.resolve()
    check_replaceable(path, ours)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            (room / "new").mkdir()
            write(room / "new")
            if path.exists():
                path.rename(room / "old")
            (room / "new").rename(path)
        finally:
            shutil.rmtree(room, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_arrays(path: Path, *names: str) -> tuple[NDArray[Any], ...] | None:
    """Arrays of an .npz file by name; None where it is missing or damaged (the archive's CRC-32 fails)."""
    import numpy as np

    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return tuple(archive[name] for name in names)
    # a damaged file can fail anywhere in the readers of zip and NumPy; computing again is always right
    except Exception:
        return None


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz file atomically: unlike .npy it carries a checksum."""
    import numpy as np

    def save(temporary: Path) -> None:
        with temporary.open("wb") as handle:
            np.savez(handle, allow_pickle=False, **arrays)

    write_atomic(path, save)


def cache_folder() -> Path:
    """Where what does not change is kept between runs: ``REPLBENCH_CACHE``, else ``~/.cache/replbench``."""
    return Path(os.environ.get("REPLBENCH_CACHE") or Path.home() / ".cache" / "replbench")


def check_writable(folder: Path) -> None:
    """Fail early where an output folder cannot be made or written; a folder that is not there is not made yet.

    Raises:
        StoreError: one line with the reason.
    """
    try:
        there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise StoreError(
            "the output folder cannot be written",
            where=folder,
            got=error.strerror,
            hint="Choose another --out.",
        ) from error


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Hold the folder for one process; the lock goes with the process, however it ends.

    A folder that was made here and holds nothing when the work fails is taken away again, with its new parents.

    Args:
        folder: made where it is not there.
        wait: wait for another process, and say so on stderr: for folders that a user does not choose.

    Raises:
        StoreError: another process is at work in this folder.
    """
    check_writable(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with hold(folder, wait) as handle:
        try:
            yield
        except BaseException:
            Path(handle.name).unlink(missing_ok=True)
            remove_empty(made)
            raise


def hold(folder: Path, wait: bool) -> IO[str]:
    """The open lock of ``folder``, which is made; see ``locked``."""
    lock = folder / ".lock"
    while True:
        with ExitStack() as opened:
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                handle = opened.enter_context(lock.open("w"))
            take(handle, folder, wait)
            # who held it may have taken it away with the folder
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle.fileno()), lock.stat()):
                    opened.pop_all()
                    return handle


def take(handle: IO[str], folder: Path, wait: bool) -> None:
    """Lock an open file of ``folder``; see ``locked``."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if not wait:
            raise StoreError(
                "another replbench is at work in this folder",
                where=folder,
                hint="Wait for it, or choose another --out.",
            ) from error
        print(f"waiting for another replbench that is at work in {folder}", file=sys.stderr, flush=True)
        fcntl.flock(handle, fcntl.LOCK_EX)


def remove_empty(folders: Iterable[Path]) -> None:
    """Take folders away, the innermost first, until one holds something."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def slug(text: str) -> str:
    """A name fit for a folder."""
    return re.sub(r"[^a-z0-9+]+", "-", text.lower()).strip("-")
