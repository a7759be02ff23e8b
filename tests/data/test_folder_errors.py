"""Every mistake in a folder of images is one line that says what, where, and what would do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from folder_files import filled, picture, write_metadata
from PIL import Image

from replication_bench.data.folder import Folder
from replication_bench.errors import ConfigError, DataError, ReplbenchError


def refusal(folder: Folder, kind: type[ReplbenchError] = DataError) -> str:
    with pytest.raises(kind) as error:
        folder.load()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_no_path() -> None:
    expected = "the dataset folder needs a path; in path; got none. Give --set dataset.options.path=DIR."
    assert refusal(Folder(), ConfigError) == expected


def test_a_missing_path(tmp_path: Path) -> None:
    line = refusal(Folder(str(tmp_path / "nowhere")))
    assert (
        line == f"not a folder of images; in {tmp_path}/nowhere; got nothing there; want an existing folder"
    )


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(Folder(str(tmp_path))).startswith(f"the folder holds no images; in {tmp_path}; want files")


def test_images_without_captions(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "1.txt").write_text("only this one", encoding="utf-8")
    (tmp_path / "10.txt").write_text("\n", encoding="utf-8")
    assert refusal(Folder(str(tmp_path))) == (
        f"images without captions; in {tmp_path}; got 2 of 3, first 2.png; want metadata.jsonl, .csv or .parquet "
        "(file_name, text), <name>.txt beside each, or one .json {image: [captions]}"
    )


def test_two_json_files_are_no_captions(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        entries = dict.fromkeys(("1.png", "2.png", "10.png"), "a caption")
        (filled(tmp_path) / name).write_text(json.dumps(entries), encoding="utf-8")
    assert "images without captions" in refusal(Folder(str(tmp_path)))


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv", "captions.json"])
def test_captions_of_missing_images(tmp_path: Path, name: str) -> None:
    filled(tmp_path, ("sub/1.png", "2.png", "10.png"))
    if name == "captions.json":
        (tmp_path / name).write_text(json.dumps({"2.png": "a", "7.png": "b", "8": "c"}), encoding="utf-8")
    else:
        # metadata names exact paths, so 1.png is not sub/1.png
        rows = [{"file_name": image, "text": "a"} for image in ("2.png", "7.png", "1.png")]
        write_metadata(tmp_path / name, rows)
    got = f"in {tmp_path / name}; got 2 missing, first 7.png"
    assert refusal(Folder(str(tmp_path))) == f"the caption file names images that are not there; {got}"


def test_captions_that_fit_several_images(tmp_path: Path) -> None:
    filled(tmp_path, ("a/1.png", "b/1.png"))
    (tmp_path / "c.json").write_text(json.dumps({"c/1.png": "one"}), encoding="utf-8")
    line = refusal(Folder(str(tmp_path)))
    assert line.startswith(f"'c/1.png' fits several images; in {tmp_path}/c.json; got a/1.png and b/1.png")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "metadata.jsonl",
            '{"file_name": "1.png", "text": "a"}\n\n{oops',
            "not JSON; in .*jsonl line 3; got Exp",
        ),
        (
            "metadata.jsonl",
            '["1.png"]',
            "no file name or no caption; in .*row 1; got columns none; want file_name",
        ),
        (
            "metadata.jsonl",
            '{"file_name": 1, "text": "a"}',
            "got columns file_name, text; want file_name and one of",
        ),
        (
            "metadata.csv",
            "file_name,label\n1.png,cat\n",
            "row 1; got columns file_name, label; want .*text, caption",
        ),
        (
            "metadata.csv",
            f"file_name,text\n1.png,{'a' * 200_000}\n",
            "captions that are not CSV; in .*field larger",
        ),
        (
            "metadata.csv",
            b"file_name,text\n1.png,caf\xe9\n",
            "the caption file cannot be read; in .*; want UTF-8",
        ),
        ("c.json", '["1.png"]', "not a caption file; in .*c.json; got a list; want {image: "),
        (
            "c.json",
            '{"1.png": [3]}',
            r"a caption that is no text; in .*c.json key 1.png; got \[3\]; want strings",
        ),
        ("1.txt", b"caf\xe9", "the caption file cannot be read; in .*1.txt; .*utf-8.*; want UTF-8"),
    ],
)
def test_malformed_captions(tmp_path: Path, name: str, text: str | bytes, line: str) -> None:
    filled(tmp_path)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert re.search(line, refusal(Folder(str(tmp_path))))


def test_a_caption_file_that_is_missing_or_of_another_kind(tmp_path: Path) -> None:
    folder = str(filled(tmp_path / "images", txt=True))
    (tmp_path / "c.txt").touch()
    line = refusal(Folder(folder, captions=str(tmp_path / "c.txt")))
    assert (
        line == f"an unknown kind of caption file; in {tmp_path}/c.txt; want .json, .jsonl, .csv or .parquet"
    )
    assert "cannot be read" in refusal(Folder(folder, captions=str(tmp_path / "c.json")))


def test_a_truncated_image(tmp_path: Path) -> None:
    path = filled(tmp_path, txt=True) / "2.png"
    Image.effect_noise((32, 32), 50).save(path)
    path.write_bytes(path.read_bytes()[:600])
    line = refusal(Folder(str(tmp_path)))
    assert line.startswith(f"1 of 3 images are broken; first: the image cannot be read; in {path}; got ")


def test_fewer_than_two_training_images(tmp_path: Path) -> None:
    filled(tmp_path, ("1.png", "2.png"), txt=True)
    line = refusal(Folder(str(tmp_path)))
    expected = f"too few training images; in {tmp_path}; got 1 of 2 images, 1 held out; want two or more"
    assert line == expected
    heldout = filled(tmp_path / "other", ("3.png", "4.png", "5.png", "6.png"))
    (tmp_path / "one").mkdir()
    for name in ("1.png", "1.txt"):
        (tmp_path / name).rename(tmp_path / "one" / name)
    for i, path in enumerate(heldout.iterdir()):
        picture(path, seed=100 + i)
    assert "got 1 of 1 images, 4 held out" in refusal(Folder(str(tmp_path / "one"), heldout=str(heldout)))


def test_a_heldout_folder_with_training_images(tmp_path: Path) -> None:
    filled(tmp_path / "train", txt=True)
    other = filled(tmp_path / "other", ("a.png", "b.png"))
    picture(other / "a.png", seed=77)
    assert refusal(Folder(str(tmp_path / "train"), heldout=str(other))) == (
        f"held-out images that are training images; in {other}; got 1 shared, first b.png = 2.png; want none shared"
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_out_of_range(share: float) -> None:
    with pytest.raises(ConfigError, match=r"no such share; in heldout_share; got .*; want between 0 and 1"):
        Folder(heldout_share=share)


@pytest.mark.parametrize("threshold", [75, -1.5])
def test_a_threshold_out_of_range(threshold: float) -> None:
    line = f"no such similarity; in duplicate_threshold; got {threshold}; want -1 to 1"
    with pytest.raises(ConfigError, match=line):
        Folder(duplicate_threshold=threshold)
