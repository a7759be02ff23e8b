"""Sets of images in the forms that other tools leave, as the dataset ``folder`` opens them."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import fill, noise, png, shard

from replication_bench.data import Splits
from replication_bench.data.folder import Folder
from replication_bench.errors import ConfigError, DataError


def captions(splits: Splits) -> dict[str, tuple[str, ...]]:
    return {example.id: example.captions for part in (splits.train, splits.heldout) for example in part}


def downloaded(folder: Path, keys: range = range(6)) -> Path:
    """What img2dataset leaves as ``webdataset``: members in the order of their arrival, tables, statistics."""
    for number in range(2):
        files = {}
        for key in reversed([k for k in keys if k % 2 == number]):
            stem = f"{number:05d}{key:04d}"
            files |= {f"{stem}.jpg": png(key), f"{stem}.txt": f"no. {key}".encode()}
            files[f"{stem}.json"] = json.dumps({"url": f"http://x/{key}", "caption": f"no. {key}"}).encode()
        shard(folder / f"{number:05d}.tar", files)
        pq.write_table(
            pa.table({"url": ["http://x"], "status": ["success"]}), folder / f"{number:05d}.parquet"
        )
        (folder / f"{number:05d}_stats.json").write_text('{"count": 3}')
    return folder


def test_shards_of_img2dataset_are_read_as_they_are(tmp_path: Path) -> None:
    splits = Folder(str(downloaded(tmp_path))).load()
    found = captions(splits)
    assert found["00000.tar/000000002.jpg"] == ("no. 2",)
    assert sorted(found.values()) == [(f"no. {i}",) for i in range(6)]
    assert (len(splits.train), len(splits.heldout)) == (5, 1)
    by_id = {example.id: example for part in (splits.train, splits.heldout) for example in part}
    assert by_id["00001.tar/000010003.jpg"].load().tobytes() == noise(3).tobytes()
    assert Folder(str(tmp_path / "{00000,00001}.tar")).load().fingerprint == splits.fingerprint


def test_files_of_img2dataset_take_the_caption_of_either_file_beside_them(tmp_path: Path) -> None:
    fill(tmp_path / "00000", ["000000000.jpg", "000000001.jpg", "000000002.jpg"])
    for key in range(3):
        table = {"caption": f"json {key}", "url": "http://x", "status": "success"}
        (tmp_path / "00000" / f"00000000{key}.json").write_text(json.dumps(table))
    (tmp_path / "00000" / "000000000.txt").write_text("text 0")
    (tmp_path / "00000" / "000000001.txt").write_text("")
    (tmp_path / "00000_stats.json").write_text("{}")
    pq.write_table(pa.table({"url": ["http://x"]}), tmp_path / "00000.parquet")
    expected = {"000000000": "text 0", "000000001": "json 1", "000000002": "json 2"}
    assert captions(Folder(str(tmp_path)).load()) == {f"00000/{k}.jpg": (v,) for k, v in expected.items()}


def test_the_layout_of_the_field_s_laion_10k(tmp_path: Path) -> None:
    fill(tmp_path / "raw_images", ["000000000.jpg", "000000003.jpg", "000010007.jpg"])
    shard(tmp_path / "00000.tar", {"000000000.jpg": png(0)})
    named = {f"00000000{i}.jpg": [f"no. {i}", "another"] for i in (0, 3, 5)} | {
        "raw_images/000010007.jpg": ["seven"]
    }
    (tmp_path / "laion_combined_captions.json").write_text(json.dumps(named))
    (tmp_path / "all_captions_blip.json").write_text(json.dumps({"000000000.jpg": ["blip"]}))
    found = captions(Folder(str(tmp_path)).load())
    assert found == {
        "raw_images/000000000.jpg": ("no. 0", "another"),
        "raw_images/000000003.jpg": ("no. 3", "another"),
        "raw_images/000010007.jpg": ("seven",),
    }
    other = Folder(str(tmp_path), captions=str(tmp_path / "all_captions_blip.json"))
    with pytest.raises(DataError, match=r"images without captions; .*got 2 of 3"):
        other.load()


def test_a_parquet_with_bytes_is_a_dataset(tmp_path: Path) -> None:
    table = pa.table({"jpg": [png(i) for i in range(4)] + [None], "caption": [f"no. {i}" for i in range(5)]})
    pq.write_table(table, tmp_path / "a.parquet")
    splits = Folder(str(tmp_path / "a.parquet")).load()
    assert sorted(captions(splits).values()) == [(f"no. {i}",) for i in range(4)]
    assert "1 of 5 entries were left out, first: a.parquet/000004: no image" in splits.note


def test_samples_without_image_or_caption_and_broken_ones_are_left_out_and_told(tmp_path: Path) -> None:
    files = {f"{i}.jpg": png(i) for i in range(5)} | {f"{i}.txt": b"a caption" for i in range(7)}
    files |= {"5.jpg": png(5)[:60], "7.jpg": png(7)}
    splits = Folder(str(shard(tmp_path / "a.tar", files))).load()
    assert len(captions(splits)) == 5
    assert "3 of 8 entries were left out, first: a.tar/6: a caption and no image." in splits.note
    shard(tmp_path / "b.tar", {"1.txt": b"a caption"})
    with pytest.raises(DataError, match="no images"):
        Folder(str(tmp_path / "b.tar")).load()
    shard(tmp_path / "c.tar", {"1.jpg": png(1)})
    with pytest.raises(
        DataError, match=r"no captioned images; .*got 1 left out, first c.tar/1.jpg: no caption"
    ):
        Folder(str(tmp_path / "c.tar")).load()


def test_a_tar_cut_in_half_is_refused_as_training_data(tmp_path: Path) -> None:
    downloaded(tmp_path)
    path = tmp_path / "00001.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(
        DataError, match=r"00001.tar: the tar file is damaged after \d images.*Download or pack it again"
    ):
        Folder(str(tmp_path)).load()


def test_a_held_out_set_may_be_of_another_form(tmp_path: Path) -> None:
    downloaded(tmp_path / "train")
    pq.write_table(pa.table({"jpg": [png("other")]}), tmp_path / "h.parquet")
    splits = Folder(str(tmp_path / "train"), heldout=str(tmp_path / "h.parquet")).load()
    assert (len(splits.train), splits.heldout.ids) == (6, ("heldout/h.parquet/000000",))
    pq.write_table(pa.table({"jpg": [png(3)]}), tmp_path / "h.parquet")
    with pytest.raises(DataError, match="held-out images that are training images"):
        Folder(str(tmp_path / "train"), heldout=str(tmp_path / "h.parquet")).load()


def test_a_caption_file_belongs_to_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only a folder of images takes a caption file"):
        Folder(str(downloaded(tmp_path)), captions="x.json").load()
