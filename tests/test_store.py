from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from replication_bench.errors import StoreError
from replication_bench.store import locked


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
