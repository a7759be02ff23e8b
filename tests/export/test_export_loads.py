"""An exported folder in stock diffusers: the same images as our sampler's, from memory and from disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from loyal.method import Dual, Loyal
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig
from replication_bench.export.component import component_of
from replication_bench.method import Method
from replication_bench.sampling import Sample, Sampler, new_scheduler
from replication_bench.seeds import Seeds
from replication_bench.testing import Case, load_backbone

PROMPTS = ("a red circle", "a blue line", "")
METHODS = {
    "none": Method(),
    "dual": Dual(),
    "loyal": Loyal(),
    "both sides, all skips": Loyal(side="both", skips=("conv_in", "SC1", "SC2", "SC3", "SC4"), tau=300),
    "one network": Loyal(split=False),
    "no skip": Loyal(block="no_skip"),
    "max unpool": Loyal(block="max_unpool"),
    "several convolutions": Loyal(block="multi_conv", convs=2, init="zero_residual"),
    "redrawn": Loyal(trainable=False, redraw=True),
}


@pytest.fixture(scope="module")
def backbone(tiny: Path) -> Backbone:
    return load_backbone(tiny)


def our_latents(case: Case, denoiser: Any, config: SampleConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents of the harness's sampler, and the noise that it started from."""
    ctx = replace(case.ctx, sample=config)
    sampler = Sampler(case.method, denoiser, ctx, config, Seeds(7))
    batch = [Sample(index, prompt) for index, prompt in enumerate(PROMPTS)]
    shape = case.backbone.latent_shape
    start = [torch.randn(shape, generator=Seeds(7).torch("sample", sample.index)) for sample in batch]
    return sampler.latents(batch, PROMPTS), torch.stack(start)


def pipeline_latents(case: Case, unet: Any, config: SampleConfig, start: torch.Tensor) -> torch.Tensor:
    """Latents of the stock pipeline with ``unet`` in it."""
    backbone = case.backbone
    make: Any = StableDiffusionPipeline
    pipeline = make(
        vae=backbone.vae,
        text_encoder=backbone.text_encoder,
        tokenizer=backbone.tokenizer,
        unet=unet,
        scheduler=new_scheduler(backbone, config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    latents: torch.Tensor = pipeline(
        list(PROMPTS),
        latents=start,
        num_inference_steps=config.steps,
        guidance_scale=config.guidance_scale,
        output_type="latent",
    ).images
    return latents


@pytest.mark.parametrize(("name", "scheduler"), [*((name, "ddim") for name in METHODS), ("loyal", "dpm++")])
def test_the_stock_pipeline_gives_our_samplers_latents_to_the_bit(
    backbone: Backbone, name: str, scheduler: Any
) -> None:
    case = Case(METHODS[name], backbone)
    denoiser: Any = case.denoiser(case.networks())
    config = SampleConfig(steps=4, guidance_scale=3.0, scheduler=scheduler)
    ours, start = our_latents(case, denoiser, config)
    theirs = pipeline_latents(case, component_of(denoiser, name).model, config, start)
    assert torch.equal(theirs, ours)


def saved_images(run: Path) -> np.ndarray:
    rows = [np.asarray(Image.open(path)) for path in sorted((run / "samples").glob("*.png"))]
    return np.stack(rows).astype(np.int16)


def prompts_of(run: Path) -> list[str]:
    manifest = json.loads((run / "samples" / "batch-0000.json").read_text())
    return [sample["prompt"] for sample in manifest["samples"]]


def snippet(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def test_a_stranger_loads_the_folders_and_gets_the_runs_images(
    runs: dict[str, Path], export: Any, stranger: Callable[[list[dict[str, Any]]], None], tmp_path: Path
) -> None:
    jobs = []
    for method in ("none", "loyal"):
        status, out, err = export(runs[method], "--to", tmp_path / method)
        assert status == 0, err
        assert ("trust_remote_code=True" in out) == (method == "loyal")
        prompts, code = prompts_of(runs[method]), snippet(tmp_path / method)
        jobs.append({"folder": method, "routed": method == "loyal", "prompts": prompts, "snippet": code})
    stranger(jobs)
    for method in ("none", "loyal"):
        theirs = (np.load(tmp_path / f"{method}.npy") * 255).round()
        # weights mapped from a file may take another matrix kernel, which moves a value between two grey levels
        assert np.abs(theirs - saved_images(runs[method])).max() <= 1
    assert Image.open(tmp_path / "image.png").size == (32, 32)
