"""On a GPU the CPU runs ahead of the device. These tests have no GPU: see ``half_fake``."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from half_fake import CUDA, HalfFake
from half_fake import half_fake as half_fake

from replication_bench import plugins
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.encoding import Encoder
from replication_bench.method import Context, Method
from replication_bench.networks import parked, ready_to_sample
from replication_bench.resolve import build_method
from replication_bench.sampling import Sampler, plan
from replication_bench.testing.case import example, vectors_of
from replication_bench.training import Trainer
from replication_bench.training_state import TrainingState

IMAGES = Examples(tuple(example(i) for i in range(6)))
PUBLIC = Examples(tuple(example(i) for i in range(6, 12)))
ROWS = 5
# dp computes gradients of single rows by a backward pass of its own; losscut chooses rows by their losses
LOOKS = {"dp", "losscut"}
TRAINED = sorted(
    name
    for name in plugins.available("methods")
    if plugins.load("methods", name).kind == "train" and name not in LOOKS
)


def method_named(name: str, folder: Path) -> Method:
    captions = folder / "captions.jsonl"
    lines = (json.dumps({"id": example.id, "caption": "a thing"}) for example in (*IMAGES, *PUBLIC))
    captions.write_text("\n".join(lines), encoding="utf-8")
    return build_method(name, {"gc": {"captions": str(captions)}})[0]


def trainer_of(method: Method, backbone: Backbone) -> Trainer:
    backbone.vae.to(CUDA)
    backbone.text_encoder.to(CUDA)
    config = TrainConfig(batch_size=ROWS, warmup_images=0, precision="bf16", learning_rate=1e-3)
    ctx = Context(backbone, config, training=IMAGES, method=method, vectors=vectors_of, public=PUBLIC)
    data = method.dataset(IMAGES, ctx)
    encoder = Encoder(method, data, backbone, 0.5, config.cache)
    return Trainer(method, data, encoder, ctx, ctx.seeds, Accelerator(cpu=True))


def waits_of_a_step(half_fake: HalfFake, method: Method, backbone: Backbone) -> Counter[str]:
    """Of the second step: the first one fills what is kept."""
    with half_fake:
        trainer = trainer_of(method, backbone)
        stage = method.stages(trainer.ctx.backbone.num_timesteps)[-1]
        state = TrainingState(trainer.build(stage), method, trainer.ctx, trainer.accelerator)
        for start in (0, ROWS):
            drawn = trainer.draw(stage, start, start + ROWS)
            half_fake.waits.clear()
            loss = trainer.step(state, stage, start, start + ROWS, drawn)
        assert loss.device.type == "cuda"
    return half_fake.waits


@pytest.mark.parametrize("name", TRAINED)
def test_no_training_step_waits_for_the_device(
    name: str, half_fake: HalfFake, slim: Path, tmp_path: Path
) -> None:
    assert waits_of_a_step(half_fake, method_named(name, tmp_path), Backbone.load(str(slim))) == {}


def test_a_step_that_looks_at_its_loss_is_noticed(half_fake: HalfFake, slim: Path) -> None:
    class Curious(Method):
        def loss(self, *args: object) -> torch.Tensor:
            found = super().loss(*args)  # type: ignore[arg-type]
            assert float(found.detach().mean()) >= 0
            return found.to("cpu").to(found.device)

    waits = waits_of_a_step(half_fake, Curious(), Backbone.load(str(slim)))
    found = Counter(name.split(".")[1] for name in waits.elements())
    assert found == {"_local_scalar_dense": 1, "_to_copy": 2}


def waits_of_sampling(half_fake: HalfFake, backbone: Backbone, scheduler: str) -> Counter[str]:
    method = Method()
    config = SampleConfig(samples=ROWS, steps=4, precision="bf16", scheduler=scheduler)  # type: ignore[arg-type]
    with half_fake:
        trainer = trainer_of(method, backbone)
        ctx = replace(trainer.ctx, sample=config)
        networks = [
            parked(trainer.build(stage), config)
            for stage in method.stages(trainer.ctx.backbone.num_timesteps)
        ]
        ctx.networks = ready_to_sample(networks, config, CUDA)
        sampler = Sampler(method, method.denoiser(ctx.networks), ctx, config, ctx.seeds)
        batch = plan(IMAGES, ROWS)
        half_fake.waits.clear()
        latents = sampler.latents(batch, tuple(sample.caption for sample in batch))
        assert latents.device.type == "cuda"
    return half_fake.waits


@pytest.mark.parametrize("scheduler", ["ddim", "dpm++"])
def test_sampling_waits_at_no_step(half_fake: HalfFake, slim: Path, scheduler: str) -> None:
    assert waits_of_sampling(half_fake, Backbone.load(str(slim)), scheduler) == {}
