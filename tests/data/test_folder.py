from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replication_bench.data.folder import Folder
from replication_bench.data.images import list_images, natural_key, read_image
from replication_bench.errors import DataError


def load(folder: Path, **options: object):
    return Folder(path=str(folder), **options).load(None)  # type: ignore[arg-type]


def everything(splits) -> dict[str, tuple[str, ...]]:
    return {example.id: example.captions for part in (splits.train, splits.heldout) for example in part}


def test_three_forms_of_captions_say_the_same(pictures: Path) -> None:
    from_text = everything(load(pictures))
    captions = {f"{i}.png": [f"picture number {i}"] for i in range(12)}
    for path in pictures.glob("*.txt"):
        path.unlink()
    (pictures / "metadata.jsonl").write_text(
        "\n".join(json.dumps({"file_name": name, "text": texts[0]}) for name, texts in captions.items()),
        encoding="utf-8",
    )
    assert everything(load(pictures)) == from_text
    (pictures / "metadata.jsonl").unlink()
    captions["3.png"].append("another caption")
    (pictures / "captions.json").write_text(json.dumps(captions), encoding="utf-8")
    found = everything(load(pictures))
    assert found["3.png"] == ("picture number 3", "another caption")
    assert {name: texts[:1] for name, texts in found.items()} == from_text


def test_the_split_depends_on_content_alone(pictures: Path) -> None:
    before = {example.sha256 for example in load(pictures).heldout}
    for path in [*pictures.glob("*.png"), *pictures.glob("*.txt")]:
        path.rename(path.with_name(f"z{path.name}"))
    after = load(pictures)
    assert {example.sha256 for example in after.heldout} == before
    assert 0 < len(before) < len(after.train)


def test_exact_duplicates_stay_on_one_side(pictures: Path) -> None:
    for i in range(12):
        (pictures / f"copy{i}.png").write_bytes((pictures / f"{i}.png").read_bytes())
        (pictures / f"copy{i}.txt").write_text("a copy", encoding="utf-8")
    splits = load(pictures)
    assert not {e.sha256 for e in splits.train} & {e.sha256 for e in splits.heldout}
    assert len(everything(splits)) == 24


def test_a_given_held_out_folder_must_not_share_images(pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (32, 32), "red").save(other / "red.png")
    assert len(load(pictures, heldout=str(other)).heldout) == 1
    (other / "3.png").write_bytes((pictures / "3.png").read_bytes())
    with pytest.raises(DataError):
        load(pictures, heldout=str(other))


def test_captions_that_name_missing_images(pictures: Path) -> None:
    rows = [{"file_name": f"{i}.png", "text": "a"} for i in range(13)]
    (pictures / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DataError, match=r"12\.png"):
        load(pictures)


def test_images_in_any_form_become_rgb(tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("CMYK", (8, 8)).save(tmp_path / "ink.jpg")
    Image.new("L", (1, 1), 7).save(tmp_path / "dot.png")
    assert all(read_image(path).mode == "RGB" for path in list_images(tmp_path))
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    assert read_image(tmp_path / "wide.png").getpixel((7, 7)) == (255, 255, 255)


def test_ten_comes_after_nine() -> None:
    assert sorted(["10.png", "9.png", "1.png"], key=natural_key) == ["1.png", "9.png", "10.png"]
