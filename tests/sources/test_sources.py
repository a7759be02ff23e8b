from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from drawn import fill, noise, png, shard

from replication_bench.errors import DataError
from replication_bench.sources.opening import open_source


def ids(source: object) -> list[str]:
    return [entry.id for entry in source.entries]  # type: ignore[attr-defined]


def test_a_folder_needs_no_captions_and_names_images_by_path(tmp_path: Path) -> None:
    source = open_source(str(fill(tmp_path, ["b/1.png", "a/1.png", "a/10.PNG", "a/9.png"])))
    assert ids(source) == ["a/1.png", "a/9.png", "a/10.PNG", "b/1.png"]
    assert source.kind == "folder"
    assert not any(entry.captions for entry in source.entries)


def test_captions_of_a_folder_are_used_and_broken_ones_are_told(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png", "2.png"])
    (tmp_path / "1.txt").write_text("one\n")
    assert [e.captions for e in open_source(str(tmp_path)).entries] == [("one",), ()]
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "lost.png", "text": "x"}')
    source = open_source(str(tmp_path))
    assert not any(entry.captions for entry in source.entries)
    assert "captions are not used" in source.notes[0]
    assert "lost.png" in source.notes[0]


@pytest.mark.parametrize("given", [".", "generations"])
def test_a_run_of_dcr_pairs_lines_with_images_in_natural_order(tmp_path: Path, given: str) -> None:
    fill(tmp_path / "generations", [f"{i}.png" for i in range(11)])
    (tmp_path / "prompts.txt").write_text("\n".join(f"prompt {i}" for i in range(11)))  # no final newline
    source = open_source(str(tmp_path / given))
    assert source.kind == "dcr"
    assert [(e.id, e.captions) for e in source.entries] == [(f"{i}.png", (f"prompt {i}",)) for i in range(11)]


def fill_run(folder: Path) -> Path:
    fill(folder / "samples", ["00000.png", "00001.png", "00002.png"])
    fill(folder, ["pairs.png"])
    (folder / "config.json").write_text("{}")
    for batch, ids in enumerate((["00000", "00001"], ["00002"])):
        entries = [{"id": name, "caption": f"of {name}", "prompt": f"drawn {name}"} for name in ids]
        (folder / f"samples/batch-{batch:04d}.json").write_text(json.dumps({"samples": entries}))
    return folder


@pytest.mark.parametrize("given", [".", "samples"])
def test_a_run_gives_its_samples_with_the_captions_of_their_prompts(tmp_path: Path, given: str) -> None:
    source = open_source(str(fill_run(tmp_path) / given))
    assert source.kind == "run"
    names = ("00000", "00001", "00002")
    assert [(e.id, e.captions) for e in source.entries] == [(f"{n}.png", (f"of {n}",)) for n in names]
    assert source.notes == ()


@pytest.mark.parametrize("content", ["{", "[]", '{"samples": [{"id": "00002"}]}', '{"samples": 3}'])
def test_a_run_whose_list_of_samples_is_broken_is_read_without_captions(tmp_path: Path, content: str) -> None:
    (fill_run(tmp_path) / "samples" / "batch-0001.json").write_text(content)
    source = open_source(str(tmp_path))
    assert ids(source) == ["00000.png", "00001.png", "00002.png"]
    assert not any(entry.captions for entry in source.entries)
    assert "list of samples cannot be read" in source.notes[0]


def test_a_caption_that_is_no_text_is_told_shortly(tmp_path: Path) -> None:
    fill(tmp_path, ["1.png"])
    (tmp_path / "captions.json").write_text(json.dumps({"1.png": [{"id": n} for n in range(1000)]}))
    (note,) = open_source(str(tmp_path)).notes
    assert "a caption that is no text" in note
    assert len(note) < 400 + len(str(tmp_path))


def test_images_of_a_batch_of_dcr_share_a_line(tmp_path: Path) -> None:
    fill(tmp_path / "generations", [f"{i}.png" for i in range(12)])
    (tmp_path / "prompts.txt").write_text("a\nb\nc\n")
    source = open_source(str(tmp_path))
    assert [entry.captions[0] for entry in source.entries] == list("aaaabbbbcccc")
    assert ids(source)[8:] == ["8.png", "9.png", "10.png", "11.png"]
    assert source.notes == (
        "4 images in a row share a line of prompts.txt, as DCR writes them with im_batch 4: "
        "false if that run was interrupted",
    )
    with pytest.raises(
        DataError, match=r"got 3 lines; want 12, one for each image in natural order of names\. "
    ):
        open_source(str(tmp_path), tmp_path / "prompts.txt")


def test_another_number_of_prompts_is_one_line(tmp_path: Path) -> None:
    fill(tmp_path / "generations", ["0.png", "1.png", "2.png"])
    (tmp_path / "prompts.txt").write_text("one\nand two\n")
    with pytest.raises(
        DataError, match=r"got 2 lines; want 3, .* or one for each k images in a row.*Give --prompts"
    ):
        open_source(str(tmp_path))
    (tmp_path / "prompts.txt").write_text("")
    with pytest.raises(DataError, match=r"got 0 lines; want 3"):
        open_source(str(tmp_path))
    (tmp_path / "prompts.txt").write_text("1\n2\n3\n4\n5\n6")
    with pytest.raises(DataError, match=r"got 6 lines; want 3"):
        open_source(str(tmp_path))
    (tmp_path / "p.jsonl").write_text('{"file_name": "1.png", "text": "the second"}')
    assert open_source(str(tmp_path), tmp_path / "p.jsonl").entries[1].captions == ("the second",)


@pytest.mark.parametrize(("name", "mode"), [("0.tar", "w"), ("0.tar.gz", "w:gz")])
def test_a_shard_gives_images_and_captions_by_sample(tmp_path: Path, name: str, mode: str) -> None:
    files = {
        "001.png": png(1),
        "001.txt": b"one\n",
        "001.json": b'{"caption": "not this"}',
        "002.seg.png": png(2),
        "002.json": json.dumps({"caption": "two"}).encode(),
        "notes.md": b"",
    }
    source = open_source(str(shard(tmp_path / name, files, mode)))
    assert [(e.id, e.captions) for e in source.entries] == [
        (f"{name}/001.png", ("one",)),
        (f"{name}/002.seg.png", ("two",)),
    ]
    assert source.entries[1].open().tobytes() == noise(2).tobytes()
    assert source.entries[0].open().tobytes() == noise(1).tobytes()


def test_folders_and_patterns_of_shards(tmp_path: Path) -> None:
    for number in range(3):
        shard(tmp_path / f"{number}.tar", {"a.png": png(number)})
    everything = ["0.tar/a.png", "1.tar/a.png", "2.tar/a.png"]
    assert ids(open_source(str(tmp_path))) == everything
    assert ids(open_source(str(tmp_path / "*.tar"))) == everything
    assert ids(open_source(str(tmp_path / "{0..1}.tar"))) == everything[:2]
    with pytest.raises(DataError, match=r"no file .*3\.tar"):
        open_source(str(tmp_path / "{2..3}.tar"))


def test_a_shard_cut_in_half_gives_its_first_images_and_says_so(tmp_path: Path) -> None:
    whole = shard(tmp_path / "0.tar", {f"{i}.png": png(i) for i in range(8)})
    whole.write_bytes(whole.read_bytes()[: 512 * 7 + 300])
    source = open_source(str(whole))
    assert 0 < len(source.entries) < 8
    assert [entry.open().tobytes() for entry in source.entries] == [
        noise(i).tobytes() for i in range(len(source.entries))
    ]
    assert source.skipped[0].id == "0.tar"
    assert f"damaged after {len(source.entries)} images" in source.skipped[0].reason
    packed = tmp_path / "1.tar.gz"
    data = gzip.compress(shard(tmp_path / "x.tar", {f"{i}.png": png(i) for i in range(60)}).read_bytes())
    packed.write_bytes(data[: len(data) // 2])
    assert "damaged after" in open_source(str(packed)).skipped[0].reason


def test_a_name_that_a_shard_holds_twice_is_two_images(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for seed in (1, 2):
            info = tarfile.TarInfo("a.png")
            info.size = len(png(seed))
            archive.addfile(info, io.BytesIO(png(seed)))
    source = open_source(str(tmp_path / "0.tar"))
    assert ids(source) == ["0.tar/a.png", "0.tar/a.png#2"]
    assert source.entries[1].open().tobytes() == noise(2).tobytes()


def test_a_parquet_of_paths(tmp_path: Path) -> None:
    fill(tmp_path / "x", ["1.png", "2.png"])
    table = pd.DataFrame({"image_path": ["x/1.png", "x/2.png", "x/1.png"], "caption": ["one", None, "again"]})
    table.to_parquet(tmp_path / "t.parquet")
    source = open_source(str(tmp_path / "t.parquet"))
    assert [(e.id, e.captions) for e in source.entries] == [
        ("x/1.png", ("one",)),
        ("x/2.png", ()),
        ("x/1.png#2", ("again",)),
    ]
    assert source.entries[1].open().size == (8, 8)


def test_a_parquet_without_paths_lists_its_columns(tmp_path: Path) -> None:
    pd.DataFrame({"url": ["a"], "width": [3]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"no column of paths.*got columns url, width"):
        open_source(str(tmp_path / "t.parquet"))
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(DataError, match="the parquet file cannot be read"):
        open_source(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize(
    ("files", "got"),
    [
        ({}, "1 left out, first a.tar: no image among 0 files;"),
        ({"1.npy": b"1", "2.npy": b"2"}, "1 left out, first a.tar: no image among 2 files;"),
        ({"1.txt": b"one", "2.txt": b"two"}, "2 left out, first a.tar/1: a caption and no image;"),
    ],
)
def test_a_shard_without_images_is_one_line_alone_and_told_beside_others(
    tmp_path: Path, files: dict[str, bytes], got: str
) -> None:
    first = shard(tmp_path / "a.tar", files)
    with pytest.raises(DataError, match=f"the shards hold no images; .*got {got} want images"):
        open_source(str(first))
    shard(tmp_path / "b.tar", {"1.png": png(1)})
    source = open_source(str(tmp_path))
    assert ids(source) == ["b.tar/1.png"]
    assert got.startswith(f"{len(source.skipped)} left out, first {source.skipped[0].id}: ")


def test_what_is_no_source_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.md").touch()
    (tmp_path / "a.tar").write_text("no tar file")
    (tmp_path / "b.tar").touch()
    for name, words in (
        ("empty", "holds no images"),
        ("nowhere", "got nothing"),
        ("a.md", "got a file"),
        (
            "a.tar",
            "^the shard cannot be read; in .*a.tar; got a file that is no tar. Download or pack it again.$",
        ),
        ("b.tar", "^the shard cannot be read; in .*b.tar; got an empty file. Download or pack it again.$"),
        ("*.zip", "names nothing"),
    ):
        with pytest.raises(DataError, match=words):
            open_source(str(tmp_path / name))
