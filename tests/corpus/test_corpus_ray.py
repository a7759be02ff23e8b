"""The command on a local Ray cluster of two workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from corpus_parts import use_made, write_shards

from replication_bench.cli import main
from replication_bench.search import open_index

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
pytest.importorskip("ray.data", reason="needs the extra 'ray'")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """The command starts Ray, and the next one finds it; workers find the made embedder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        use_made(patch)
        yield
        ray.shutdown()


def corpus(*arguments: object, name: str = "corpus") -> int:
    try:
        main([name, *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_two_workers_of_which_one_is_lost_give_the_index_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "tars")
    assert corpus(tmp_path / "tars", "--out", tmp_path / "alone") == 0
    asked = (tmp_path / "tars", "--out", tmp_path / "ray", "--ray", "--workers", 2, "--json")
    capsys.readouterr()
    assert corpus(*asked, "--option", f"kill={tmp_path / 'killed'}") == 0
    assert (tmp_path / "killed").exists()
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["embedded_now"], facts["missing"]) == (20, 20, [])
    alone, together = (open_index(tmp_path / name) for name in ("alone", "ray"))
    np.testing.assert_array_equal(alone.rows[:], together.rows[:])
    queries = np.random.default_rng(0).standard_normal((9, 24))
    np.testing.assert_array_equal(alone.search(queries, 3).ids, together.search(queries, 3).ids)


def test_index_embeds_shards_on_ray_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "tars", 2)
    asked = (tmp_path / "tars", "--out", tmp_path / "index", "--ray", "--workers", 2, "--json")
    assert corpus(*asked, name="index") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["shards"], facts["embedded_now"]) == (10, 2, 10)


@pytest.mark.slow
def test_a_shard_that_always_kills_its_worker_is_given_up_and_the_others_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "tars", 3, 2)
    asked = (tmp_path / "tars", "--out", tmp_path / "index", "--ray", "--workers", 2, "--json")
    assert corpus(*asked, "--option", "bad=2") == 2
    err = capsys.readouterr().err
    assert "1 of 3 shards gave no vectors; first: the worker died; in " in err
    assert "00001.tar; got 3 attempts" in err
    assert corpus(*asked, "--option", "bad=2", "--allow-missing") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["missing"], facts["embedded_now"]) == (4, ["00001"], 0)
