from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from replication_bench.errors import StoreError
from replication_bench.store import locked, write_arrays, write_atomic, write_folder
from replication_bench.training_state import write_state

STATE = {"weight": torch.ones(100_000)}


class WorkError(Exception):
    """What went wrong with the work."""


def fail_in(folder: Path, work: Callable[[], object] = lambda: None) -> None:
    """Hold the folder, work, and fail."""
    with locked(folder):
        work()
        raise WorkError


def folders(top: Path) -> set[Path]:
    return {path for path in top.rglob("*") if path.is_dir()}


@pytest.mark.parametrize("there", ["", "a", "a/b/c"])
def test_work_that_fails_with_nothing_done_leaves_no_folder_that_was_not_there(
    tmp_path: Path, there: str
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = folders(tmp_path)
    with pytest.raises(WorkError):
        fail_in(tmp_path / "a" / "b" / "c")
    assert folders(tmp_path) == before


def test_what_was_done_before_a_failure_stays(tmp_path: Path) -> None:
    part = tmp_path / "out" / "part"
    for work in (part.touch, lambda: None):
        with pytest.raises(WorkError):
            fail_in(tmp_path / "out", work)
        assert part.exists()


def test_who_waits_for_work_that_fails_finds_the_folder_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    seen: list[Path] = []

    def wait() -> None:
        with locked(folder, wait=True):
            seen.extend(folder.iterdir())
            with pytest.raises(StoreError, match="another replbench is at work"):
                fail_in(folder)

    other = Thread(target=wait)
    with pytest.raises(WorkError):
        fail_in(folder, lambda: (other.start(), time.sleep(0.3)))
    other.join()
    assert seen == [folder / ".lock"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """A limit on the size of files, which the system refuses as it refuses what does not fit a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save_rows(path: Path) -> None:
    """As latents are kept on disk."""
    with path.open("wb") as handle:
        np.save(handle, np.ones(100_000))


@pytest.mark.parametrize(
    ("write", "got"),
    [
        (lambda path: write_atomic(path, lambda temporary: save_file(STATE, temporary)), "File too large"),
        (lambda path: write_state(path, STATE), "File too large"),
        (lambda path: write_arrays(path, rows=np.ones(100_000)), "File too large"),
        (lambda path: write_atomic(path, save_rows), "only a part of the file fits"),
        (
            lambda path: write_folder(path, lambda room: save_file(STATE, room / "x"), lambda there: False),
            "File too large",
        ),
    ],
    ids=["safetensors", "torch", "npz", "npy", "folder"],
)
@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_is_full_is_told_whatever_library_writes(
    tmp_path: Path, write: Callable[[Path], object], got: str
) -> None:
    with pytest.raises(StoreError, match=rf"cannot write; in .*what; got {got}. Free space or choose"):
        write(tmp_path / "what")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("full_disk")
def test_of_a_full_cache_the_line_names_what_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StoreError, match="Free space or set REPLBENCH_CACHE to another folder, then"):
        write_state(tmp_path / "cache" / "encoded" / "x", STATE)


def test_a_bug_in_what_writes_is_not_taken_for_a_disk(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise RuntimeError("view size is not compatible")

    with pytest.raises(RuntimeError, match="view size"):
        write_atomic(tmp_path / "what", write)
    assert not list(tmp_path.iterdir())
