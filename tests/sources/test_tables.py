"""Images inside tables, and datasets that Hugging Face saved."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from drawn import fill, noise, png

from replication_bench.errors import DataError, PluginError
from replication_bench.sources.opening import open_source


def pixels(path: Path) -> list[bytes]:
    return [entry.open().tobytes() for entry in open_source(str(path)).entries]


def test_a_parquet_with_the_bytes_inside_reads_any_row_group(tmp_path: Path) -> None:
    table = pa.table({"jpg": [png(i) for i in range(7)], "txt": [f"no. {i}" for i in range(7)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    source = open_source(str(tmp_path / "a.parquet"))
    assert [e.id for e in source.entries] == [f"a.parquet/{i:06d}" for i in range(7)]
    assert [e.captions for e in source.entries] == [(f"no. {i}",) for i in range(7)]
    for i in (6, 0, 3, 2, 5, 1, 4):
        assert source.entries[i].open().tobytes() == noise(i).tobytes()


def test_images_as_hugging_face_keeps_them_in_parquet(tmp_path: Path) -> None:
    fill(tmp_path, ["beside.png"])
    cells = [
        {"bytes": png(1), "path": "1.png"},
        {"bytes": None, "path": "beside.png"},
        {"bytes": None, "path": None},
    ]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    captions = pa.array([["one", " ", "uno"], ["two"], None], pa.list_(pa.string()))
    for name in ("train-00000-of-00002", "train-00001-of-00002"):
        pq.write_table(
            pa.table({"image": pa.array(cells, kind), "captions": captions}), tmp_path / f"{name}.parquet"
        )
    (tmp_path / "data").mkdir()
    for path in tmp_path.glob("train*"):
        shutil.move(path, tmp_path / "data" / path.name)
    shutil.move(tmp_path / "beside.png", tmp_path / "data" / "beside.png")
    (tmp_path / "data" / "beside.png").rename(tmp_path / "data" / "beside.bin")
    source = open_source(str(tmp_path / "data" / "*.parquet"))
    assert [e.captions for e in source.entries] == [("one", "uno"), ("two",), ()] * 2
    assert source.entries[3].open().tobytes() == noise(1).tobytes()
    with pytest.raises(
        DataError, match=r"the image cannot be read; in .*row 1; got beside.png: No such file"
    ):
        source.entries[1].open()
    with pytest.raises(DataError, match=r"no image; in .*row 2; got an empty cell"):
        source.entries[2].open()
    assert [e.id for e in open_source(str(tmp_path / "data")).entries] == [e.id for e in source.entries]


def test_a_parquet_with_neither_lists_its_columns(tmp_path: Path) -> None:
    pd.DataFrame({"jpg": [3], "url": ["u"]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column of paths or images.*got columns jpg, url"):
        open_source(str(tmp_path / "a.parquet"))


def saved(folder: Path, count: int = 3, **columns: Any) -> Path:
    datasets = pytest.importorskip("datasets")
    from datasets import features

    table = {"picture": [{"bytes": png(i), "path": None} for i in range(count)]}
    table |= columns or {"text": [f"no. {i}" for i in range(count)]}
    built = datasets.Dataset.from_dict(table).cast_column("picture", features.Image())
    built.save_to_disk(folder)
    return folder


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    source = open_source(str(saved(tmp_path / "set")))
    assert (source.kind, [e.id for e in source.entries]) == ("huggingface", ["000000", "000001", "000002"])
    assert [e.captions for e in source.entries] == [("no. 0",), ("no. 1",), ("no. 2",)]
    assert pixels(tmp_path / "set") == [noise(i).tobytes() for i in range(3)]


def test_of_several_saved_splits_train_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    both = {
        name: datasets.load_from_disk(str(saved(tmp_path / name, n)))
        for name, n in (("train", 3), ("test", 2))
    }
    datasets.DatasetDict(both).save_to_disk(str(tmp_path / "both"))
    source = open_source(str(tmp_path / "both"))
    assert len(source.entries) == 3
    assert source.notes == ("of the saved splits only train is read, not test.",)
    assert len(open_source(str(tmp_path / "both" / "test")).entries) == 2
    other = datasets.DatasetDict({"a": both["test"], "b": both["train"]})
    other.save_to_disk(str(tmp_path / "other"))
    with pytest.raises(DataError, match=r"several splits and none called train; .*got a, b"):
        open_source(str(tmp_path / "other"))


def test_a_saved_dataset_that_is_damaged_or_without_images_is_one_line(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(str(tmp_path / "words"))
    with pytest.raises(DataError, match=r"no column of images; .*got columns text"):
        open_source(str(tmp_path / "words"))
    state = saved(tmp_path / "set") / "state.json"
    state.write_text(json.dumps({"_data_files": [{"filename": "lost.arrow"}]}))
    with pytest.raises(DataError, match="the saved dataset cannot be read"):
        open_source(str(tmp_path / "set"))


def test_without_the_package_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "state.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        PluginError, match=r"the package 'datasets' is missing.*pip install 'replbench\[huggingface\]'"
    ):
        open_source(str(tmp_path))
