"""``replbench generalise``: what it writes is what ``gc`` and ``mc`` read; bad input is one line and status 2."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.lexicon.wordnet import WordNet
from baselines.text.recaption import GeneralisedCaptions, MultipleCaptions
from replication_bench import cli

pytest.importorskip("textblob", reason="the package textblob is not installed")


def run(*arguments: object) -> int:
    try:
        cli.main(["generalise", *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def birds(pictures: Path) -> Path:
    for text in pictures.glob("*.txt"):
        text.write_text("Two sea gulls\n", encoding="utf-8")
    return pictures


def test_the_written_file_is_read_by_the_methods(
    birds: Path, tmp_path: Path, tiny_wordnet: WordNet, capsys: pytest.CaptureFixture[str]
) -> None:
    general, several = tmp_path / "general.jsonl", tmp_path / "several.jsonl"
    assert run("--dataset", birds, "--out", general) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"12 images -> {general}\ngenerality")
    assert "broadness" in out
    assert run("--dataset", birds, "--out", several, "--several") == 0
    given = GeneralisedCaptions(captions=str(general)).given
    assert sorted(given) == sorted(f"{i}.png" for i in range(12))
    assert {row.captions for row in given.values()} == {("a beast",)}
    rows = MultipleCaptions(captions=str(several)).given.values()
    assert {row.captions for row in rows} == {("a gull", "a sea gull", "a bird", "a beast")}


def test_options_of_the_dataset_are_taken(birds: Path, tmp_path: Path, tiny_wordnet: WordNet) -> None:
    out = tmp_path / "out.jsonl"
    assert run("--dataset", birds, "--set", "heldout_share=0.5", "--out", out) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 12


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Missing option"),
        (["--dataset", "openmojy", "--out", "x"], "unknown dataset 'openmojy'. Did you mean 'openmoji'?"),
        (["--dataset", "openmoji", "--set", "sice=64", "--out", "x"], "has no parameter 'sice'"),
        (["--dataset", "./nowhere", "--out", "x"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert line in err
    assert err.count("\n") == 1


def test_without_wordnet_nothing_is_written(
    birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPLBENCH_WORDNET", str(tmp_path / "nowhere"))
    out = tmp_path / "out.jsonl"
    assert run("--dataset", birds, "--out", out) == 2
    assert "apt-get install wordnet-base" in capsys.readouterr().err
    assert not out.exists()
