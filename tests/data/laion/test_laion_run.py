"""From parquet files of links to a leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from links import Command, metadata
from web import Web

from replication_bench.data.laion.dataset import LaionSubset

pytest.importorskip("faiss")


@pytest.fixture
def words(web: Web, quick: Path, tmp_path: Path) -> list[object]:
    """A run on fourteen links, two of them dead, prepared first."""
    urls = [*(web.url(f"ok/{i}.png") for i in range(12)), web.url("nowhere/1.jpg"), web.url("html/1.jpg")]
    metadata(tmp_path / "links" / "a.parquet", urls[:7])
    metadata(tmp_path / "links" / "b.parquet", urls[7:])
    preparing = {
        "size": 14,
        "min_side": 32,
        "embedder": "pixels",
        "img2dataset": quick,
        "heldout_share": 0.25,
    }
    running = {"sample.steps": 1, "measure.bootstrap": 0, "train.batch_size": 8, "measure.embedder": "pixels"}
    running |= {"train.pixels": 64}  # the smallest that the networks take; the recipe has 256
    settings = {**{f"prepare.{key}": value for key, value in preparing.items()}, **running}
    return [
        *(
            "run",
            "--method",
            "loyal",
            "--dataset",
            "laion-subset",
            "--backbone",
            "random:sd21-mini",
            "--budget",
            16,
        ),
        *("--samples", 4, "--out", tmp_path / "runs", "--prepare", "--metadata", tmp_path / "links"),
        *(word for key, value in settings.items() for word in ("--set", f"{key}={value}")),
    ]


def test_one_command_line_leads_from_links_to_a_table(
    web: Web, words: list[object], command: Command, tmp_path: Path
) -> None:
    status, out, err = command(*words)
    assert status == 0, err
    assert "12 of 14 links gave an image" in err
    assert "1 dead: no known image format" in err
    assert "loyal" in out
    assert "none" in out
    results = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").glob("*/result.json"))]
    assert [result["method"]["name"] for result in results] == ["loyal", "none"]
    splits = LaionSubset().load()
    assert {result["dataset"]["fingerprint"] for result in results} == {splits.fingerprint}
    assert results[0]["dataset"]["note"] == splits.note
    assert (len(splits.train), len(splits.heldout)) == (9, 3)
    status, board, err = command("leaderboard", tmp_path / "runs", "--format", "json")
    assert status == 0, err
    assert {row["method"] for row in json.loads(board)["boards"][0]["rows"]} >= {"none", "loyal"}
    count = sum(web.asked.values())
    assert command(*words)[0] == 0  # the same command finds all of it done
    assert sum(web.asked.values()) == count


def test_something_to_prepare_from_needs_the_word(command: Command, words: list[object]) -> None:
    words.remove("--prepare")
    status, _, err = command(*words)
    assert status == 2
    assert "nothing is prepared without --prepare" in err
    status, _, err = command("run", "--dataset", "openmoji", "--prepare")
    assert (status, err.startswith("replbench: the dataset 'openmoji' needs no preparation")) == (2, True)
    status, _, err = command("run", "--dataset", "laion-subset", "--prepare", "--set", "prepare.sise=3")
    assert (status, "unknown key 'prepare.sise'. Did you mean 'size'?" in err) == (2, True)


def test_a_recipe_names_what_is_prepared(command: Command, tmp_path: Path) -> None:
    for words in (("--recipe", "laion-subset"), ("--set", "dataset.name=laion-subset")):
        status, _, err = command("run", *words, "--prepare", "--metadata", tmp_path / "no.parquet")
        assert (status, "no metadata there" in err) == (2, True), err
    status, _, err = command("run", "--recipe", "smoke", "--prepare")
    assert (status, "needs no preparation" in err) == (2, True), err


def test_the_metadata_is_part_of_the_request(web: Web, quick: Path, command: Command, tmp_path: Path) -> None:
    options = ("--size", 6, "--min-side", 32, "--embedder", "none", "--img2dataset", quick)
    metadata(tmp_path / "a" / "a.parquet", [web.url(f"ok/{i}.png") for i in range(8)])
    assert command("data", "prepare", "laion-subset", "--metadata", tmp_path / "a", *options)[0] == 0
    first = LaionSubset().load().fingerprint
    metadata(tmp_path / "a" / "b.parquet", [web.url(f"ok/{i}.png") for i in range(30, 60)])
    assert command("data", "prepare", "laion-subset", "--metadata", tmp_path / "a", *options)[0] == 0
    assert LaionSubset().load().fingerprint != first
