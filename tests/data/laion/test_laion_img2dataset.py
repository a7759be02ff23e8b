"""The real img2dataset, against the same web as its stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest
from links import Command, Prepare, metadata
from web import Web

from replication_bench.data.laion.manifest import NAME, read_manifest

pytestmark = pytest.mark.img2dataset
KINDS = [
    "nowhere/1.jpg",
    "html/1.jpg",
    "cut/1.jpg",
    "wide/1.png",
    "small/1.png",
    "huge/1.png",
    "noindex/1.jpg",
]


def test_the_stand_in_of_the_other_tests_gives_what_img2dataset_gives(
    web: Web, img2dataset: Path, command: Command, prepare: Prepare, small_shards: None, tmp_path: Path
) -> None:
    images = [web.url(f"ok/{i}.{('jpg', 'png', 'webp')[i % 3]}") for i in range(6)]
    urls = [
        *images,
        web.url("again/9.jpg"),
        *map(web.url, KINDS),
        web.url("silent/1.jpg"),
        "http://127.0.0.1:1/x",
    ]
    asked = ["--metadata", metadata(tmp_path / "m.parquet", urls), "--size", len(urls)]
    tiny = ["--min-side", 32, "--embedder", "none", "--timeout", 1, "--threads", 4]
    status, out, err = command("data", "prepare", "laion-subset", *asked, *tiny, "--img2dataset", img2dataset,
        "--out", tmp_path / "real")  # fmt: skip
    assert status == 0, err
    assert "7 of 16 links gave an image" in out
    assert prepare(*asked, "--out", tmp_path / "quick")[0] == 0
    real, quick = (read_manifest(tmp_path / name / NAME) for name in ("real", "quick"))
    assert real.facts["fingerprint"] == quick.facts["fingerprint"]
    assert real.rows == quick.rows  # with the reasons of the dead
    shards = [(tmp_path / name / "shards" / "00000.tar").read_bytes() for name in ("real", "quick")]
    assert shards[0] == shards[1]


def test_a_disk_that_is_full_below_img2dataset_is_one_line(
    web: Web, img2dataset: Path, command: Command, small_shards: None, tmp_path: Path
) -> None:
    """A limit on the size of files, which a process hands to the ones that it starts, stands for the disk's end."""
    full = tmp_path / "full"
    full.write_text(f'#!/bin/sh\nulimit -f 8\nexec "{img2dataset}" "$@"\n')
    full.chmod(0o755)
    urls = [web.url(f"ok/{i}.png") for i in range(8)]
    asked = ["--metadata", metadata(tmp_path / "m.parquet", urls), "--size", 8, "--min-side", 32]
    words = ["data", "prepare", "laion-subset", *asked, "--embedder", "none", "--out", tmp_path / "out"]
    status, _, err = command(*words, "--img2dataset", full)
    assert status == 2
    assert "the disk is full" in err
    assert command(*words, "--img2dataset", img2dataset)[0] == 0
