from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audit_cases import Command, DiesOnce
from drawn import fill

from replication_bench.audit.embedding import embedding, shares
from replication_bench.audit.index import read_index
from replication_bench.audit.indexing import update_index
from replication_bench.audit.texts import Texts
from replication_bench.config import NamedOptions
from replication_bench.embedders.pixels import Pixels
from replication_bench.errors import ReplbenchError
from replication_bench.sources.opening import open_source

PIXELS = ("--embedder", "pixels")


def test_an_index_made_by_several_processes_is_the_one_made_by_one(
    replbench: Command, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "x", [f"{i}.png" for i in range(7)])
    for workers in ("1", "3"):
        out = str(tmp_path / workers)
        assert replbench("index", str(folder), "--out", out, *PIXELS, "--workers", workers)[0] == 0
    one, three = read_index(tmp_path / "1"), read_index(tmp_path / "3")
    assert one.rows == three.rows
    assert one.facts == three.facts
    np.testing.assert_array_equal(one.vectors, three.vectors)
    np.testing.assert_array_equal(one.features, three.features)


def test_an_audit_shares_its_images_out(
    replbench: Command, sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    asked: list[tuple[int, bool]] = []

    def spy(chosen: NamedOptions, embedder: Pixels, workers: int) -> object:
        asked.append((workers, embedder.name == chosen.name))
        return embedding(chosen, embedder, workers)  # type: ignore[arg-type]

    monkeypatch.setattr("replication_bench.audit.steps.embedding", spy)
    generated, train = map(str, sets)
    given = ("--generated", generated, "--train", train, "--out", str(tmp_path / "out"))
    assert replbench("audit", *given, *PIXELS, "--workers", "2")[0] == 0
    assert asked == [(2, True)]


def test_texts_and_duplicates_share_their_images_out_too(
    replbench: Command, sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    asked: list[tuple[str, int]] = []

    def spy(chosen: NamedOptions, embedder: Pixels, workers: int) -> object:
        asked.append((chosen.name, workers))
        return embedding(chosen, embedder, 1)  # type: ignore[arg-type]

    monkeypatch.setattr("replication_bench.audit.texts.embedding", spy)
    monkeypatch.setattr("replication_bench.commands.duplicates.embedding", spy)
    texts = Texts(Pixels(), "", NamedOptions(name="pixels"))  # type: ignore[arg-type]
    places = {"generated": open_source(str(sets[0])), "train": open_source(str(sets[1]))}
    monkeypatch.setattr(Texts, "aligned", lambda *given: given[-1])
    texts.align(places, lambda name, total: lambda done: None, 2)  # type: ignore[arg-type]
    assert replbench("duplicates", str(sets[1]), *PIXELS, "--workers", "3")[0] == 0
    assert asked == [("pixels", 2), ("pixels", 3)]
    status, _, err = replbench("duplicates", str(sets[1]), *PIXELS, "--workers", "0")
    assert status == 2
    assert "no such number of workers" in err


@pytest.mark.parametrize("count", [0, 1, 5, 8])
def test_shares_are_even_and_in_order(count: int) -> None:
    images = list(range(count))
    parts = shares(images, 3)  # type: ignore[arg-type]
    assert [one for part in parts for one in part] == images
    assert len(parts) == min(3, count)
    assert not parts or max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("command", ["index", "audit"])
def test_no_workers_are_refused(replbench: Command, command: str, tmp_path: Path) -> None:
    folder = str(fill(tmp_path / "x", ["1.png", "2.png"]))
    given = {"index": (folder, "--out", "y"), "audit": ("--generated", folder, "--train", folder)}[command]
    status, _, stderr = replbench(command, *given, "--workers", "0")
    assert status == 2
    assert "in --workers; got 0; want 1 or more" in stderr


def test_a_dead_worker_is_told_and_costs_one_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.audit.indexing.CHUNK", 4)
    monkeypatch.setattr("replication_bench.audit.embedding.build_embedder", DiesOnce.made)
    folder, out = fill(tmp_path / "x", [f"{i}.png" for i in range(8)]), tmp_path / "index"
    chosen = NamedOptions(name="dies", options={"folder": str(tmp_path)})

    def update() -> None:
        with embedding(chosen, DiesOnce.made(chosen), 2) as embed:
            update_index(
                open_source(str(folder)), out, chosen, DiesOnce.made(chosen), lambda done: None, embed=embed
            )

    with pytest.raises(ReplbenchError, match=r"a worker died.*in --workers; got 2.*fewer workers"):
        update()
    assert len(list(out.rglob("*.npz"))) == 1
    update()
    assert len(read_index(out).rows) == 8


WORKS = """
import os, sys, time
from functools import partial
from replication_bench.embedders.pixels import Pixels
from replication_bench.embedders.pool import new_pool

if __name__ == "__main__":
    pool = new_pool(Pixels, 1)
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(done: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return done()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads processes from /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "works.py"
    script.write_text(WORKS)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        try:
            assert not gone(worker)
            parent.send_signal(signal.SIGKILL)
            assert until(lambda: gone(worker))
        finally:
            if not gone(worker):
                os.kill(worker, signal.SIGKILL)
