from __future__ import annotations

import io
import json
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from corpus_parts import MadeEmbedder, picture, sample, write_shards, write_tar
from PIL import Image

from replication_bench.corpus import Outcome, ShardJob, embed_shard, finished, merge, run_local, run_ray
from replication_bench.embedders.pool import MakeEmbedder
from replication_bench.errors import ConfigError, DataError, WeightsError
from replication_bench.search import Index, nearest, open_index


def jobs_of(shards: list[Path], out: Path) -> list[ShardJob]:
    return [ShardJob(shard, out) for shard in shards]


def embedded(
    shards: list[Path], out: Path, make: MakeEmbedder = MadeEmbedder, workers: int = 1
) -> list[Outcome]:
    return sorted(run_local(jobs_of(shards, out), make, workers), key=lambda outcome: outcome.shard)


def merged(shards: list[Path], parts: Path, out: Path) -> Index:
    return merge([parts / shard.stem for shard in shards], out)


def test_the_merged_index_answers_as_one_that_was_embedded_in_one_go(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars")
    embedded(shards, tmp_path / "parts")
    index = merged(shards, tmp_path / "parts", tmp_path / "index")
    one = write_tar(tmp_path / "one.tar", [file for number in range(20) for file in sample(number)])
    single = merge([embed_shard(one, MadeEmbedder(), tmp_path / "single")], tmp_path / "whole")
    assert index.facts.rows == 20
    np.testing.assert_array_equal(index.rows[:], single.rows[:])
    queries = np.random.default_rng(0).standard_normal((9, 24))
    np.testing.assert_array_equal(index.search(queries, 3).ids, single.search(queries, 3).ids)
    np.testing.assert_array_equal(index.search(queries, 3).ids, nearest(queries, single.rows, 3).ids)


def test_ids_stand_beside_vectors_in_order(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars", 2, 2)
    embedded(shards, tmp_path / "parts")
    merged(shards, tmp_path / "parts", tmp_path / "index")
    ids = pd.read_parquet(tmp_path / "index" / "ids.parquet")
    assert ids["id"].tolist() == [f"0000{i // 2}/00000000{i}" for i in range(4)]
    assert list(ids.columns) == ["id", "shard", "key", "sha256", "caption", "url", "norm"]
    assert ids["url"][3] == "https://example.org/3.png"
    facts = open_index(tmp_path / "index").facts
    assert (facts.dtype, facts.dim, facts.protocol["hash"]) == ("float16", 24, MadeEmbedder().protocol.hash)


def test_two_workers_give_the_same_files_as_one(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars")
    for workers in (1, 2):
        embedded(shards, tmp_path / str(workers), workers=workers)
    for shard in shards:
        for name in ("vectors.npy", "ids.parquet"):
            first, second = (tmp_path / str(workers) / shard.stem / name for workers in (1, 2))
            assert first.read_bytes() == second.read_bytes()


def test_a_worker_that_dies_costs_only_its_shard(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars")
    make = partial(MadeEmbedder, kill=str(tmp_path / "killed"))
    outcomes = embedded(shards, tmp_path / "parts", make, workers=2)
    assert (tmp_path / "killed").exists()
    assert [(one.shard, one.rows, one.error) for one in outcomes] == [(s.stem, 5, "") for s in shards]


def test_a_shard_that_always_kills_its_worker_is_given_up_and_the_others_are_not(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars", 3, 2)
    outcomes = embedded(shards, tmp_path / "parts", partial(MadeEmbedder, bad=2), workers=2)
    assert [one.rows for one in outcomes] == [2, 0, 2]
    assert "the worker died" in outcomes[1].error


def test_a_finished_shard_is_known_until_something_changes(tmp_path: Path) -> None:
    shard = write_shards(tmp_path / "tars", 1)[0]
    embedder = MadeEmbedder()
    asked = (shard, tmp_path / "parts", embedder.protocol.hash, "float16")
    assert not finished(*asked)
    folder = embed_shard(shard, embedder, tmp_path / "parts")
    assert finished(*asked)
    assert not finished(*asked[:3], "float32")
    assert not finished(shard, tmp_path / "parts", MadeEmbedder("other").protocol.hash, "float16")
    os.utime(shard, ns=(0, 0))
    assert not finished(*asked)
    embed_shard(shard, embedder, tmp_path / "parts")
    (folder / "shard.json").write_text("{")
    assert not finished(*asked)


def drawn(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_broken_images_are_listed_and_left_out(tmp_path: Path) -> None:
    members = [*sample(1), ("b.png", b"no image"), ("c.txt", b"alone"), ("d.png", picture(3)[:200])]
    members += [("e.png", drawn((1, 1))), ("f.png", drawn((3, 400)))]
    shard = write_tar(tmp_path / "a.tar", members)
    folder = embed_shard(shard, MadeEmbedder(), tmp_path)
    facts = json.loads((folder / "shard.json").read_text())
    assert facts["rows"] == 1
    reasons = {one["key"]: one["reason"] for one in facts["skipped"]}
    assert reasons.keys() == {"b", "c", "d", "e", "f"}
    assert (reasons["b"], reasons["c"]) == ("no known image format", "no image")
    assert "0x" not in reasons["d"]
    assert "too small" in reasons["e"]
    assert "too long a strip" in reasons["f"]


def test_a_shard_that_cannot_be_read_is_an_outcome(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars")
    shards[1].write_bytes(shards[1].read_bytes()[:3000])
    outcomes = embedded(shards, tmp_path / "parts")
    assert [bool(one.error) for one in outcomes] == [False, True, False, False]
    with pytest.raises(DataError, match="unfinished shard"):
        merged(shards, tmp_path / "parts", tmp_path / "index")


def test_shards_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "tars", 2)
    first = embed_shard(shards[0], MadeEmbedder(), tmp_path / "parts")
    second = embed_shard(shards[1], MadeEmbedder("other"), tmp_path / "parts")
    with pytest.raises(DataError, match="unlike protocol"):
        merge([first, second], tmp_path / "index")
    second = embed_shard(shards[1], MadeEmbedder(), tmp_path / "parts", "float32")
    with pytest.raises(DataError, match="unlike dtype"):
        merge([first, second], tmp_path / "index")
    with pytest.raises(DataError, match="no shard gave vectors"):
        merge([], tmp_path / "index")


def test_an_empty_shard_merges_and_only_empty_shards_do_not(tmp_path: Path) -> None:
    full = embed_shard(write_shards(tmp_path / "tars", 1)[0], MadeEmbedder(), tmp_path / "parts")
    empty = embed_shard(write_tar(tmp_path / "e.tar", [("x.txt", b"t")]), MadeEmbedder(), tmp_path / "parts")
    assert merge([full, empty], tmp_path / "index").facts.rows == 5
    with pytest.raises(DataError, match="hold no image that can be read"):
        merge([empty], tmp_path / "none")
    assert not (tmp_path / "none" / "index.json").exists()


def test_damaged_parts_are_one_line(tmp_path: Path) -> None:
    folder = embed_shard(write_shards(tmp_path / "tars", 1)[0], MadeEmbedder(), tmp_path / "parts")
    (folder / "ids.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="ids cannot be read"):
        merge([folder], tmp_path / "index")
    np.save(folder / "vectors.npy", np.zeros((2, 24), np.float16))
    with pytest.raises(DataError, match="do not fit"):
        merge([folder], tmp_path / "index")


def test_without_ray_the_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(WeightsError, match=r"replbench\[ray\]"):
        list(run_ray(jobs_of([tmp_path / "a.tar"], tmp_path), MadeEmbedder))


def test_a_cluster_that_does_not_come_up_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        raise Exception("The current node timed out during startup.\nmore")

    ray = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setattr("replication_bench.corpus.ray_driver.ray_library", lambda: ray)
    with pytest.raises(ConfigError, match=r"timed out during startup\. Run the same"):
        list(run_ray(jobs_of([tmp_path / "a.tar"], tmp_path), MadeEmbedder))
