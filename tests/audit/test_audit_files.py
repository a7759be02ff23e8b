"""The files that an audit leaves: their names, what is not computed for them, and none of an earlier audit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from audit_cases import Command
from drawn import noise
from PIL import Image

from replication_bench import evidence
from replication_bench.audit import comparing
from replication_bench.commands import audit as audit_command
from replication_bench.config import NamedOptions

FEW = ("--set", "measure.bootstrap=5")


def chosen(name: str, protocol: str, hash: str) -> SimpleNamespace:
    made = SimpleNamespace(protocol=SimpleNamespace(name=protocol, hash=hash))
    return SimpleNamespace(options=NamedOptions(name=name), embedder=made)


def test_every_embedder_has_a_table_of_its_own() -> None:
    one, other = chosen("sscd", "sscd-128", "1" * 64), chosen("sscd-distilled", "sscd-128", "2" * 64)
    twins = chosen("open-clip", "model", "3" * 64), chosen("open-clip", "model", "4" * 64)
    files = comparing.match_files([one, other, *twins])  # type: ignore[list-item]
    assert files == {
        "1" * 64: "matches-sscd-sscd-128",
        "2" * 64: "matches-sscd-distilled-sscd-128",
        "3" * 64: "matches-open-clip-model-333333333333",
        "4" * 64: "matches-open-clip-model-444444444444",
    }


def test_too_many_pairs_are_not_looked_at_for_the_table_either(
    command: Command, sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_PAIRS", 1)
    monkeypatch.setattr(comparing, "local_of", lambda *args: pytest.fail("the images were decoded"))
    flags = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", *FEW)
    status, _, err = command("audit", *flags)
    assert status == 0, err
    assert pd.read_parquet(tmp_path / "out" / "matches.parquet")["local"].isna().all()


def test_an_audit_that_ends_before_its_sheet_leaves_no_older_one(
    command: Command, sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", *FEW)
    assert command("audit", *flags)[0] == 0
    noise("another").save(sets[0] / "7.png")
    with monkeypatch.context() as broken:
        broken.setattr(audit_command, "draw_pairs", lambda audit, result: None)
        assert command("audit", *flags)[0] == 0
    assert not (tmp_path / "out" / "pairs.png").exists()
    assert command("audit", *flags)[0] == 0
    assert (tmp_path / "out" / "pairs.png").exists()


def test_a_name_that_is_not_utf8_is_escaped(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    try:
        os.rename(train / "3.png", os.fsencode(train) + b"/caf\xe9.png")
        Path(os.fsdecode(os.fsencode(generated) + b"/\xff.png")).write_bytes(b"no image")
    except OSError:
        pytest.skip("the file system takes no such names")
    flags = ("--generated", generated, "--train", train, "--out", tmp_path / "out", *FEW)
    status, _, err = command("audit", *flags)
    assert status == 0, err
    table = pd.read_parquet(tmp_path / "out" / "matches.parquet")
    assert "caf\\xe9.png" in set(table[table["label"] == "exact"]["train"])
    assert pd.read_csv(tmp_path / "out" / "skipped.csv")["id"].tolist() == ["\\xff.png"]


def test_a_large_image_brings_no_line_of_its_library(tmp_path: Path) -> None:
    """Pillow warns of images of more than 89 million pixels, with a line of its own source."""
    for name, side in (("small.png", 20), ("large.png", 40)):
        Image.new("L", (side, side), side).save(tmp_path / name)
    code = (
        "import sys\nfrom PIL import Image\nfrom replication_bench.cli import main\n"
        "Image.MAX_IMAGE_PIXELS = 1000\nmain(sys.argv[1:])"
    )
    command = (sys.executable, "-c", code, "duplicates", str(tmp_path), "--embedder", "pixels")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "images are in" in done.stdout
    assert "decompression bomb" not in done.stderr
