"""The dataset ``stamps`` and the choice of a split; tests/data/test_splits.py measures that its splits are apart."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from replication_bench.data import Splits, stamps
from replication_bench.data.stamps import Stamps
from replication_bench.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
installed = pytest.mark.skipif(not stamps.FOLDER.is_dir(), reason=stamps.INSTALL_HINT)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Stamps(size=192).load()


@pytest.fixture(scope="module")
def splitting() -> ModuleType:
    spec = importlib.util.spec_from_file_location("splitting", ROOT / "scripts" / "splitting.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@installed
def test_the_splits_have_the_committed_sizes(splits: Splits) -> None:
    assert (len(splits.train), len(splits.heldout), len(splits.public)) == (192, 192, 154)
    ids = [*splits.train.ids, *splits.heldout.ids, *splits.public.ids]
    assert len(set(ids)) == 538
    assert not [id for id in ids if id.startswith("symbols/") or not id.endswith(".png")]


@installed
def test_the_small_split_is_the_beginning_of_the_large(splits: Splits) -> None:
    small = Stamps().load()
    assert small.train.ids == splits.train.ids[:64]
    assert small.heldout.fingerprint == splits.heldout.fingerprint
    assert small.public.fingerprint == splits.public.fingerprint


@installed
def test_no_file_is_in_two_splits(splits: Splits) -> None:
    hashes = [{example.sha256 for example in part} for part in (splits.train, splits.heldout, splits.public)]
    assert not hashes[0] & hashes[1] | hashes[0] & hashes[2] | hashes[1] & hashes[2]


@installed
def test_captions_are_sentences_without_a_full_stop(splits: Splits) -> None:
    captions = {example.id: example.captions for part in (splits.train, splits.heldout) for example in part}
    assert captions["animals/birds/vulture.png"] == ("A vulture",)
    assert all(len(texts) == 1 and texts[0].strip() and texts[0][-1] != "." for texts in captions.values())


@installed
def test_an_image_is_rgb_on_white_at_64_pixels(splits: Splits) -> None:
    for example in splits.train[0], splits.heldout[0]:
        image = example.load()
        assert (image.mode, image.size) == ("RGB", (64, 64))
        assert np.asarray(image)[0, 0].tolist() == [255, 255, 255]


@installed
def test_the_note_limits_the_floor_to_the_chosen_set(splits: Splits) -> None:
    assert "the false-positive rate hold for this chosen set only" in splits.note


@pytest.mark.parametrize(
    ("text", "caption"),
    [
        ("A red kangaroo.\naf.utf8=Kangaroe.\n", "A red kangaroo"),
        ("Holly!\r\nfr=Houx", "Holly!"),
        ("Wait...", "Wait"),
        ("Mr. Tux", "Mr. Tux"),
    ],
)
def test_the_caption_is_the_first_line_without_its_full_stop(text: str, caption: str) -> None:
    assert stamps.caption_of(text) == caption


def test_a_wide_picture_keeps_its_aspect(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100), "black").save(tmp_path / "a.png")
    dark = np.asarray(stamps.fitted(tmp_path / "a.png")).mean(axis=2) < 128
    assert dark.any(axis=1).nonzero()[0].tolist() == list(range(16, 48))
    assert dark.any(axis=0).all()


def test_a_small_picture_is_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "black").save(tmp_path / "a.png")
    assert not np.asarray(stamps.fitted(tmp_path / "a.png")).any()


def test_the_catalog_holds_captioned_pngs_outside_symbols(tmp_path: Path) -> None:
    for name in ("a/x.png", "a/x.txt", "a/x.svg", "a/x_mirror.png", "symbols/y.png", "symbols/y.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("An x.\n", encoding="utf-8")
    assert {id: stamp.caption for id, stamp in stamps.catalog(tmp_path).items()} == {"a/x.png": "An x"}


def test_a_missing_package_is_one_line_with_its_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamps, "FOLDER", tmp_path / "nowhere")
    line = (
        r"^the dataset stamps needs the Debian package 'tuxpaint-stamps-default'; in .*\. apt-get install -y"
    )
    with pytest.raises(DataError, match=line):
        Stamps().load()


def test_other_stamps_than_the_committed_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "x.txt").write_text("An x.", encoding="utf-8")
    monkeypatch.setattr(stamps, "FOLDER", tmp_path)
    first = stamps.committed_split()["train"][0]
    with pytest.raises(
        DataError, match=rf"not those of the committed split; .*got 384 missing, first {first}"
    ):
        Stamps().load()


def test_another_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="no such stamps split; in size; got 65; want 64 or 192"):
        Stamps(size=65)


@given(st.integers(0, 10_000), st.integers(3, 30))
def test_chosen_rows_are_isolated(splitting: ModuleType, seed: int, n: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    vectors[1] = -vectors[0]  # whatever is chosen first, one of these two is far from it
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = vectors @ vectors.T
    chosen, left_out = splitting.choose_isolated(similarity, 2)
    rest = [i for i in range(n) if i not in chosen and not left_out[i]]
    others = [*rest, *chosen]
    assert len(set(chosen)) == 2
    assert not left_out[chosen].any()
    assert all(similarity[i, j] <= splitting.LIMIT for i in chosen for j in others if i != j)


def test_a_choice_that_cannot_be_made_is_refused(splitting: ModuleType) -> None:
    with pytest.raises(ValueError, match="only 1 of 2 rows are isolated"):
        splitting.choose_isolated(np.ones((4, 4)), 2)


@pytest.mark.parametrize("name", ["openmoji", "stamps"])
def test_the_committed_order_mixes_the_chosen(name: str, splitting: ModuleType) -> None:
    module = importlib.import_module(f"replication_bench.data.{name}")
    split = module.committed_split()
    chosen = [*split["train"], *split["heldout"]]
    assert chosen == sorted(chosen, key=splitting.hash_order)
