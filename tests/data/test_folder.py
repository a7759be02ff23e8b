from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from folder_files import embed, filled, picture, write_metadata
from hypothesis import given, settings
from hypothesis import strategies as st

from replication_bench.data import Splits
from replication_bench.data.folder import Folder
from replication_bench.errors import DataError


def captions(splits: Splits) -> dict[str, tuple[str, ...]]:
    return {example.id: example.captions for part in (splits.train, splits.heldout) for example in part}


def test_captions_beside_the_images(tmp_path: Path) -> None:
    filled(tmp_path, ("a/1.png", "a/2.png", "b.PNG"), txt=True)
    (tmp_path / "b.txt").write_text("\ufeffa bee \nune abeille", encoding="utf-8")
    expected = {"a/1.png": ("caption of a/1.png",), "a/2.png": ("caption of a/2.png",), "b.PNG": ("a bee",)}
    assert captions(Folder(str(tmp_path)).load()) == expected


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("column", ["text", "caption", "prompt"])
def test_captions_from_metadata(tmp_path: Path, suffix: str, column: str) -> None:
    filled(tmp_path)
    names = ("1.png", "2.png", "10.png", "1.png")
    rows = [{"file_name": name, "n": 1, column: f'no. {i},\u2028"{name}"'} for i, name in enumerate(names)]
    write_metadata(tmp_path / f"metadata{suffix}", rows)
    found = captions(Folder(str(tmp_path)).load())
    assert found["1.png"] == ('no. 0,\u2028"1.png"', 'no. 3,\u2028"1.png"')
    assert found["10.png"] == ('no. 2,\u2028"10.png"',)


def test_metadata_may_hold_lists_and_comes_before_all_else(tmp_path: Path) -> None:
    filled(tmp_path, txt=True)
    (tmp_path / "info.json").write_text("[]", encoding="utf-8")
    rows = [{"file_name": f"./{name}", "text": ["one", "", " two "]} for name in ("1.png", "2.png", "10.png")]
    write_metadata(tmp_path / "metadata.jsonl", rows)
    assert set(captions(Folder(str(tmp_path)).load()).values()) == {("one", "two")}


def test_metadata_in_subfolders_names_images_relative_to_itself(tmp_path: Path) -> None:
    filled(tmp_path, ("train/1.png", "train/2.png", "test/1.png"))
    for part, names in {"train": ("1.png", "2.png"), "test": ("1.png",)}.items():
        rows = [{"file_name": name, "text": f"{part} {name}"} for name in names]
        write_metadata(tmp_path / part / "metadata.jsonl", rows)
    write_metadata(tmp_path / ".cache" / "metadata.jsonl", [{"file_name": "3.png", "text": "hidden"}])
    expected = {
        f"{name}.png": (f"{name.replace('/', ' ')}.png",) for name in ("train/1", "train/2", "test/1")
    }
    assert captions(Folder(str(tmp_path)).load()) == expected


@pytest.mark.parametrize("place", ["notes.jsonl", "images/notes.csv", "images/a/notes.jsonl"])
def test_given_metadata_is_relative_to_itself_or_else_to_the_folder(tmp_path: Path, place: str) -> None:
    names = ("a/1.png", "a/2.png", "a/b.png")
    filled(tmp_path / "images", names, txt=True)
    base = "a/" if "/a/" in place else ""
    write_metadata(
        tmp_path / place, [{"file_name": n.removeprefix(base), "text": f"given {n}"} for n in names]
    )
    splits = Folder(str(tmp_path / "images"), captions=str(tmp_path / place)).load()
    assert captions(splits) == {name: (f"given {name}",) for name in names}


@pytest.mark.parametrize("given", [True, False])
def test_captions_from_the_json_of_dcr(tmp_path: Path, given: bool) -> None:
    folder = filled(
        tmp_path / "images", ("n01/1.png", "n02/1.png", "n02/2.png", "n02/3.png", "n02/2.jpg", "v1.5.png")
    )
    entries = {
        "n01/1.png": ["one", "eins"],  # relative path
        "/elsewhere/train/n02/1.png": "another one",  # the same below other folders
        "raw/2.png": ["two"],  # file name
        "raw/3.jpg": ["three"],  # stem
        "3": ["drei"],  # stem alone
        "raw/2.jpg": ["zwei"],  # the same stem, told apart by file name
        "v1.5": ["a version"],  # a stem with a dot
    }
    path = tmp_path / "dcr.json" if given else folder / "anything.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    assert captions(Folder(str(folder), captions=str(path) if given else "").load()) == {
        "n01/1.png": ("one", "eins"),
        "n02/1.png": ("another one",),
        "n02/2.png": ("two",),
        "n02/3.png": ("three", "drei"),
        "n02/2.jpg": ("zwei",),
        "v1.5.png": ("a version",),
    }


def test_ids_are_relative_paths_in_natural_order_and_images_keep_their_size(tmp_path: Path) -> None:
    splits = Folder(str(filled(tmp_path, [f"x/{i}.png" for i in range(12)], txt=True))).load()
    assert len(splits.train) == 10
    assert list(splits.train.ids) == sorted(splits.train.ids, key=lambda id: int(id[2:-4]))
    assert (splits.train[0].load().mode, splits.train[0].load().size) == ("RGB", (4, 4))


def test_a_heldout_folder_needs_no_captions(tmp_path: Path) -> None:
    filled(tmp_path / "train", txt=True)
    for seed, name in enumerate(("a red house.png", "2.png")):
        picture(tmp_path / "other" / name, seed=50 + seed)
    (tmp_path / "other" / "2.txt").write_text("a blue house", encoding="utf-8")
    splits = Folder(str(tmp_path / "train"), heldout=str(tmp_path / "other")).load(embed)
    assert splits.train.ids == ("1.png", "2.png", "10.png")
    assert {example.id: example.captions for example in splits.heldout} == {
        "heldout/a red house.png": ("a red house",),
        "heldout/2.png": ("a blue house",),
    }
    assert "given held-out folder" in splits.note


def test_a_fifth_is_held_out(tmp_path: Path) -> None:
    folder = str(filled(tmp_path, [f"{i}.png" for i in range(20)], txt=True))
    splits = Folder(folder).load()
    assert (len(splits.train), len(splits.heldout), len(splits.public)) == (16, 4, 0)
    assert not set(splits.train.ids) & set(splits.heldout.ids)
    assert len(Folder(folder, heldout_share=0.5).load().heldout) == 10
    assert "20% held out by content, images of equal bytes" in splits.note


def test_exact_copies_stay_on_one_side(tmp_path: Path) -> None:
    for seed in range(10):
        for copy in "abc":
            picture(tmp_path / copy / f"{copy}{seed}.png", seed=seed)
            (tmp_path / copy / f"{copy}{seed}.txt").write_text("a picture", encoding="utf-8")
    splits = Folder(str(tmp_path)).load()
    assert (len(splits.train), len(splits.heldout)) == (24, 6)
    assert not {e.sha256 for e in splits.train} & {e.sha256 for e in splits.heldout}


def circle(folder: Path) -> Folder:
    """Two chains of three images, each 30 degrees from the next, and an image far from all."""
    for seed, degrees in enumerate((0, 30, 60, 120, 150, 180, 240)):
        picture(folder / f"{degrees}.png", degrees, seed)
        (folder / f"{degrees}.txt").write_text("a picture", encoding="utf-8")
    return Folder(str(folder), heldout_share=0.4)


def test_chains_of_near_duplicates_stay_on_one_side(tmp_path: Path) -> None:
    splits = circle(tmp_path).load(embed)
    sides = [{int(id[:-4]) for id in part.ids} for part in (splits.train, splits.heldout)]
    for chain in ({0, 30, 60}, {120, 150, 180}, {240}):
        assert sum(bool(chain & side) for side in sides) == 1
    assert "images of similarity above 0.75 kept on one side" in splits.note


def test_all_alike_leaves_nothing_to_train_on(tmp_path: Path) -> None:
    folder = Folder(str(filled(tmp_path, txt=True)))
    assert len(folder.load().train) == 2
    with pytest.raises(DataError, match="got 0 of 3 images, 3 held out"):
        folder.load(embed)


def test_the_threshold_is_an_option(tmp_path: Path) -> None:
    circle(tmp_path)
    splits = Folder(str(tmp_path), duplicate_threshold=0.9, heldout_share=0.7).load(embed)
    assert (len(splits.train), len(splits.heldout)) == (2, 5)


def heldout_hashes(folder: Path, names: Sequence[str], order: Sequence[int]) -> set[str]:
    """The split of fifteen fixed images in three chains and singles, written under ``names`` in ``order``."""
    for i in order:
        picture(folder / names[i], (i % 5) * 50 + (i // 5) * 20, seed=i)
        (folder / names[i]).with_suffix(".txt").write_text("a picture", encoding="utf-8")
    splits = Folder(str(folder), duplicate_threshold=0.95).load(embed)
    assert len(splits.train) + len(splits.heldout) == len(names)
    return {example.sha256 for example in splits.heldout}


@settings(max_examples=20, deadline=None)
@given(
    names=st.lists(
        st.from_regex(r"([a-z]{1,3}/)?[a-z0-9]{1,6}", fullmatch=True), min_size=15, max_size=15, unique=True
    ),
    order=st.permutations(range(15)),
)
def test_the_split_depends_on_contents_alone(names: list[str], order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        plain = heldout_hashes(Path(one), [f"{i}.png" for i in range(15)], range(15))
        assert heldout_hashes(Path(other), [f"{name}.png" for name in names], order) == plain
