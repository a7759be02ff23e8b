from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from audit_cases import Command, Quick
from drawn import fill, noise

from replication_bench.audit.index import read_index
from replication_bench.audit.indexing import update_index
from replication_bench.config import NamedOptions
from replication_bench.errors import ConfigError, DataError, StoreError
from replication_bench.sources.opening import open_source

CHOSEN = NamedOptions(name="sscd")


def update(folder: Path, out: Path, embedder: Quick | None = None, force: bool = False) -> object:
    return update_index(open_source(str(folder)), out, CHOSEN, embedder or Quick(), lambda done: None, force)


def check(folder: Path, out: Path) -> None:
    """The index holds what embedding everything anew gives."""
    index, source = read_index(out), open_source(str(folder))
    assert [row.id for row in index.rows] == [entry.id for entry in source.entries]
    np.testing.assert_array_equal(index.vectors, Quick()([entry.open() for entry in source.entries]))


def test_only_what_changed_is_embedded(quick: type[Quick], tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "x", [f"{i}.png" for i in range(6)]), tmp_path / "index"
    update(folder, out)
    check(folder, out)
    noise("new").save(folder / "2b.png")
    (folder / "4.png").unlink()
    noise("changed").save(folder / "5.png")
    (folder / "0.png").rename(folder / "9.png")
    before = Quick.seen
    update(folder, out)
    assert Quick.seen - before == 2  # the new and the changed one, not the one that moved
    check(folder, out)
    files = {path.name.partition("-")[0] for path in out.iterdir()}
    assert files == {"index.json", "vectors", "rows", ".lock"}
    assert len(list(out.iterdir())) == 4


def test_an_interruption_costs_one_chunk(
    quick: type[Quick], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication_bench.audit.indexing.CHUNK", 4)
    folder, out = fill(tmp_path / "x", [f"{i}.png" for i in range(12)]), tmp_path / "index"

    class Stops(Quick):
        def __call__(self, images: object) -> np.ndarray:
            if Quick.batches == 2:
                raise KeyboardInterrupt
            return super().__call__(images)  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        update(folder, out, Stops())
    assert Quick.seen == 8
    assert not (out / "index.json").exists()
    update(folder, out)
    assert Quick.seen == 12
    check(folder, out)
    assert not (out / "chunks").exists()


def test_a_damaged_chunk_is_computed_again(
    quick: type[Quick], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = fill(tmp_path / "x", ["1.png", "2.png"]), tmp_path / "index"
    monkeypatch.setattr("replication_bench.audit.indexing.finish", lambda *a: None)
    update(folder, out)
    monkeypatch.undo()
    for path in out.rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path))
    update(folder, out)
    check(folder, out)


def test_another_protocol_is_refused_with_both_hashes(quick: type[Quick], tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "x", ["1.png", "2.png"]), tmp_path / "index"
    update(folder, out)
    one, other = Quick().protocol.hash[:12], Quick(6).protocol.hash[:12]
    with pytest.raises(ConfigError, match=rf"quick-4 {one}; want quick-6 {other} .*pixels 4 / 6.*--force"):
        update(folder, out, Quick(6))
    assert read_index(out).facts.protocol_hash == Quick().protocol.hash
    update(folder, out, Quick(6), force=True)
    assert read_index(out).facts.protocol_hash == Quick(6).protocol.hash


def test_an_index_is_not_made_among_other_files(quick: type[Quick], tmp_path: Path) -> None:
    folder = fill(tmp_path / "x", ["1.png"])
    with pytest.raises(StoreError, match=r"holds 1\.png"):
        update(folder, folder)
    assert list(folder.iterdir()) == [folder / "1.png"]


@pytest.mark.parametrize("name", ["index.json", "vectors", "rows"])
def test_a_broken_index_is_one_line(quick: type[Quick], tmp_path: Path, name: str) -> None:
    folder, out = fill(tmp_path / "x", ["1.png", "2.png"]), tmp_path / "index"
    update(folder, out)
    broken = next(path for path in out.iterdir() if path.name.startswith(name))
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match="index"):
        read_index(out)
    update(folder, out, force=True)
    check(folder, out)


def test_the_command(command: Command, tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "x", ["1.png", "2.png"]), tmp_path / "index"
    (folder / "3.png").write_bytes(b"broken")
    status, text, err = command("index", folder, "--out", out, "--json")
    assert status == 0, err
    found = json.loads(text)
    assert found["images"] == 2
    assert found["protocol_hash"] == Quick().protocol.hash
    assert found["skipped"][0]["id"] == "3.png"
    assert "skipped 3.png" in command("index", folder, "--out", out)[1]
    status, _, err = command("index", folder, "--out", out, "--embedder", "sscd@quick-6")
    assert status == 2
    assert err.strip().count("replbench: ") == 1
    assert "mean" not in err
    assert Quick().protocol.hash[:12] in err
