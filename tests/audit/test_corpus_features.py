"""A corpus as the training set where metrics need features as the network gave them, not unit vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from audit_cases import Command
from drawn import fill, shard

NEED_FEATURES = ("precision", "recall", "density", "coverage", "authpct", "kd_train")


@pytest.fixture
def made(command: Command, tmp_path: Path) -> Path:
    """Twelve generated images, and eighteen training images as a folder and as a corpus."""
    fill(tmp_path / "generated", [f"{i}.png" for i in range(12)], "generated")
    train = fill(tmp_path / "train", [f"{i:02d}.png" for i in range(18)], "train")
    shard(tmp_path / "a.tar", {path.name: path.read_bytes() for path in sorted(train.iterdir())})
    status, _, err = command(
        "corpus",
        tmp_path / "a.tar",
        "--out",
        tmp_path / "corpus",
        "--embedder",
        "pixels",
        "--dtype",
        "float32",
    )
    assert status == 0, err
    return tmp_path


def audited(command: Command, folder: Path, train: str, out: str) -> dict[str, Any]:
    status, text, err = command(
        "audit", "--generated", folder / "generated", "--train", folder / train, "--out", folder / out,
        "--embedder", "pixels", "--set", "measure.bootstrap=5", "--json",
    )  # fmt: skip
    assert status == 0, err
    return {one["name"]: one for one in json.loads(text)["measurements"]}


def test_a_corpus_gives_the_numbers_of_its_folder(command: Command, made: Path) -> None:
    folder, corpus = (audited(command, made, train, train + "-out") for train in ("train", "corpus"))
    for name in NEED_FEATURES:
        assert folder[name]["value"] is not None, name
        assert corpus[name]["value"] == pytest.approx(folder[name]["value"], rel=1e-3), name


def test_a_corpus_without_lengths_gives_a_reason_instead(command: Command, made: Path) -> None:
    ids = made / "corpus" / "ids.parquet"
    pd.read_parquet(ids).drop(columns="norm").to_parquet(ids, index=False)
    found = audited(command, made, "corpus", "out")
    for name in NEED_FEATURES:
        assert found[name]["value"] is None, name
        assert "the corpus given as train holds unit vectors without their lengths" in found[name]["reason"]
    assert found["R"]["value"] is not None
    assert found["vendi"]["value"] is not None
