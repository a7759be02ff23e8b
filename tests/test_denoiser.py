from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor, nn

from loyal.method import Loyal
from replication_bench.denoiser import PipelineUNet, UNetDenoiser
from replication_bench.method import Conditioning
from replication_bench.testing import Case, load_backbone, tiny_backbone


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_backbone(tmp_path_factory.mktemp("backbone"))


@pytest.fixture(scope="module")
def backbone(folder: Path) -> SimpleNamespace:
    return load_backbone(folder)


@pytest.fixture
def pipeline(folder: Path) -> Any:
    loader: Any = StableDiffusionPipeline
    made = loader.from_pretrained(folder, safety_checker=None)
    made.scheduler = DDIMScheduler.from_config(made.scheduler.config)
    made.set_progress_bar_config(disable=True)
    return made


class Recorder(nn.Module):
    """A denoiser that remembers the timesteps it is called with."""

    def __init__(self, denoiser: nn.Module):
        super().__init__()
        self.denoiser = denoiser
        self.seen: list[Tensor] = []

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        self.seen.append(t)
        prediction: Tensor = self.denoiser(x_t, t, cond)
        return prediction


def generate(pipeline: Any, **options: Any) -> np.ndarray:
    images: np.ndarray = pipeline(
        ["a red circle", "a blue line"],
        num_inference_steps=4,
        generator=[torch.Generator().manual_seed(seed) for seed in range(2)],
        output_type="np",
        **options,
    ).images
    return images


def test_the_plain_unet_gives_the_pipelines_own_images(pipeline: Any) -> None:
    before = generate(pipeline)
    assert before.shape == (2, 32, 32, 3)
    pipeline.unet = PipelineUNet(UNetDenoiser(pipeline.unet), pipeline.unet)
    assert np.array_equal(generate(pipeline), before)


def test_a_routed_denoiser_runs_in_the_stock_pipeline(pipeline: Any, backbone: Any) -> None:
    case = Case(Loyal(), backbone)
    networks: list[Any] = case.networks()
    routed = case.method.denoiser(networks)
    assert isinstance(routed, nn.Module)
    called: list[str] = []
    for name, network in zip(("front", "tail"), networks, strict=True):
        network.register_forward_pre_hook(lambda module, args, name=name: called.append(name))
    before = generate(pipeline)
    recorder = Recorder(routed)
    pipeline.unet = PipelineUNet(recorder, pipeline.unet)
    images = generate(pipeline)
    assert np.isfinite(images).all()
    assert not np.allclose(images, before)
    assert called == ["tail", "tail", "front", "front"]
    assert [t.tolist() for t in recorder.seen] == [[t] * 4 for t in (751, 501, 251, 1)]


def test_the_pipeline_gives_the_images_of_the_denoisers_own_loop(pipeline: Any, backbone: Any) -> None:
    case = Case(Loyal(), backbone)
    routed = case.method.denoiser(case.networks())
    assert isinstance(routed, nn.Module)
    pipeline.unet = PipelineUNet(routed, pipeline.unet)
    latents = pipeline(
        ["a red circle"], num_inference_steps=4, latents=case.noise(0)[:1], output_type="latent"
    ).images
    texts = pipeline.tokenizer(
        ["", "a red circle"], padding="max_length", truncation=True, return_tensors="pt"
    )
    x_t, scheduler = case.noise(0)[:1], pipeline.scheduler
    scheduler.set_timesteps(4)
    with torch.no_grad():
        uncond, cond = pipeline.text_encoder(texts.input_ids)[0].chunk(2)
        for t in scheduler.timesteps:
            guided = case.method.guide(routed, x_t, t.expand(1), Conditioning(cond, uncond), 7.5, case.ctx)
            x_t = scheduler.step(guided, t, x_t).prev_sample
    assert torch.allclose(latents, x_t, atol=1e-5)


@pytest.mark.parametrize(
    "timestep", [7, torch.tensor(7), torch.tensor([7]), torch.tensor([7, 7, 7]), torch.tensor(7.0)]
)
def test_any_form_of_timestep_reaches_the_denoiser_as_one_a_row(backbone: Any, timestep: Any) -> None:
    recorder = Recorder(UNetDenoiser(backbone.unet))
    adapter = PipelineUNet(recorder, backbone.unet)
    out = adapter(torch.zeros(3, 4, 8, 8), timestep, torch.zeros(3, 5, 32), cross_attention_kwargs=None)
    assert out.sample.shape == (3, 4, 8, 8)
    assert recorder.seen[0].tolist() == [7, 7, 7]
    assert recorder.seen[0].dtype == torch.int64


def test_the_adapter_answers_as_a_unet_does(backbone: Any) -> None:
    adapter = PipelineUNet(UNetDenoiser(backbone.unet), backbone.unet)
    x_t, cond = torch.zeros(1, 4, 8, 8), torch.zeros(1, 5, 32)
    as_tuple = adapter(x_t, 7, cond, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[0], adapter(x_t, 7, cond).sample)
    assert torch.equal(as_tuple[0], backbone.unet(x_t, 7, cond).sample)
    assert (adapter.dtype, adapter.device) == (torch.float32, torch.device("cpu"))
    assert adapter.config is backbone.unet.config
