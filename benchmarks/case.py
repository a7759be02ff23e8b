"""What the benchmarks of training and sampling work on: made images, random weights, and a trainer of each method."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from timing import race
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from replication_bench.acceleration import LossMeter
from replication_bench.backbone import Backbone
from replication_bench.config import TrainConfig
from replication_bench.data.example import Example, Examples
from replication_bench.encoding import Encoder
from replication_bench.method import Context, Method
from replication_bench.pretrained.made import text_config
from replication_bench.pretrained.shapes import find_shape
from replication_bench.pretrained.tokenizer import byte_tokenizer
from replication_bench.testing import picture
from replication_bench.training import StageJob, Trainer
from replication_bench.training_state import TrainingState

ENDLESS = 10**6  # steps: more than any benchmark takes


@contextmanager
def images_on_disk(count: int, side: int) -> Iterator[Examples]:
    """Captioned JPEG files, as a downloaded set has them."""
    with tempfile.TemporaryDirectory() as folder:
        items = []
        for number in range(count):
            image, caption = picture(np.random.default_rng(number), side)
            path = Path(folder) / f"{number:05d}.jpg"
            image.save(path, quality=90)
            items.append(Example(path.stem, (f"{caption}, number {number}",), opener(path), path.stem))
        yield Examples(tuple(items))


def opener(path: Path) -> Callable[[], Image.Image]:
    def load() -> Image.Image:
        with Image.open(path) as image:
            return image.convert("RGB")

    return load


def new_trainer(backbone: Backbone, data: Examples, method: Method, **train: Any) -> Trainer:
    """A trainer as the pipeline makes it; cached unless ``train`` says otherwise."""
    from accelerate import Accelerator

    from replication_bench.machine import choose_precision

    config = TrainConfig(**{"learning_rate": 5e-6, "warmup_images": 0, "flip": 0.5, **train})
    device = str(backbone.device).partition(":")[0]
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision=choose_precision(config.precision, device))
    ctx = Context(backbone, config, training=data, method=method)
    encoder = Encoder(method, data, backbone, config.flip, config.cache)
    return Trainer(method, data, encoder, ctx, ctx.seeds, accelerator)


class Stepper:
    """One stage of a method; each call is ``steps`` steps of the harness, taken as a run takes them.

    Steps are drawn ahead, and the loss is read only now and then, where the device asks for it. What is kept is encoded
    before the first one.
    """

    def __init__(self, trainer: Trainer, stage: int = -1, steps: int = 1):
        config, found = trainer.config, trainer.method.stages(trainer.ctx.backbone.num_timesteps)[stage]
        if config.cache != "none":
            trainer.encoder.warm()
            trainer.encoder.texts([example.captions[0] for example in trainer.data])
        state = TrainingState(trainer.build(found), trainer.method, trainer.ctx, trainer.accelerator)
        self.steps, self.meter = steps, LossMeter(trainer.accelerator.device)
        self.endless = trainer.steps(state, StageJob(found, ENDLESS * config.batch_size, Path()), 0)

    def __call__(self) -> None:
        for _, _, loss in islice(self.endless, self.steps):
            self.meter.add(loss)


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    """``work``, so many times a call."""

    def again() -> None:
        for _ in range(times):
            work()

    return again


def steps_a_call(device: torch.device) -> int:
    """Steps between two looks at the clock, for which a GPU is waited for: in a run nobody waits for it."""
    return 5 if device.type == "cuda" else 1


class Loop:
    """What both loops below share: a network, its optimiser, and one step from latents and text states."""

    def __init__(self, trainer: Trainer):
        self.backbone, self.data, self.config = trainer.ctx.backbone, trainer.data, trainer.config
        self.accelerator, self.device = trainer.accelerator, trainer.accelerator.device
        network: nn.Module = copy.deepcopy(self.backbone.unet).requires_grad_(True).train().to(self.device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=self.config.learning_rate)
        self.network, self.optimiser = self.accelerator.prepare(network, optimiser)

    def encode(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Latents and text states of examples."""
        pixels = torch.stack([self.backbone.to_tensor(self.data[row].load()) for row in rows])
        with torch.no_grad(), self.accelerator.autocast():
            latents = self.backbone.encode_images(pixels).float()
            states = self.backbone.encode_text([self.data[row].captions[0] for row in rows])
        return latents, states

    def learn(self, latents: Tensor, states: Tensor) -> Tensor:
        scheduler = self.backbone.scheduler
        noise = torch.randn_like(latents)
        t = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), device=self.device)
        noisy, target = scheduler.add_noise(latents, noise, t), scheduler.get_velocity(latents, noise, t)
        with self.accelerator.autocast():
            prediction = self.network(noisy, t, encoder_hidden_states=states).sample
        loss = torch.nn.functional.mse_loss(prediction.float(), target.float())
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.detach()


class PlainLoop(Loop):
    """The field's usual loop: open, resize, encode with VAE and text encoder at every step, and read the loss."""

    def __call__(self) -> float:
        rows = np.random.default_rng().integers(len(self.data), size=self.config.batch_size)
        return float(self.learn(*self.encode([int(row) for row in rows])))


class BareLoop(Loop):
    """Nothing but the network's step, on latents and text states that are there: what the harness is measured by."""

    def __init__(self, trainer: Trainer):
        super().__init__(trainer)
        self.latents, self.states = self.encode(range(self.config.batch_size))

    def __call__(self) -> Tensor:
        return self.learn(self.latents, self.states)


def with_vae(backbone: Backbone, width: int) -> Backbone:
    """The same backbone over a random VAE of Stable Diffusion's kind, ``width`` channels at its first level."""
    from diffusers import AutoencoderKL

    config = {**backbone.vae.config, "block_out_channels": (width, 2 * width, 4 * width, 4 * width)}
    model: Any = AutoencoderKL
    vae = model.from_config({**config, "norm_num_groups": 4}).requires_grad_(False).eval()
    return replace(backbone, vae=vae.to(backbone.device))


def encoding_time(trainer: Trainer, rounds: int = 3) -> float:
    """Seconds of opening and encoding one batch over those of the bare loop's step."""
    loop = BareLoop(trainer)
    rows = range(trainer.config.batch_size)
    found = race({"encode": lambda: loop.encode(rows), "step": loop}, loop.device, rounds)
    return found["encode"].over(found["step"])


def flops(shape: str, pixels: int) -> dict[str, float]:
    """Floating-point operations of one image through each network, counted without computing.

    A multiplication and an addition are two; a training step of the U-Net is three times its forward pass.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    found = find_shape(shape)
    side, width = pixels // 8, found.unet["cross_attention_dim"]
    models: tuple[Any, ...] = (UNet2DConditionModel, AutoencoderKL)
    with torch.device("meta"), torch.no_grad():
        unet, vae = models[0](**found.unet), models[1](**found.vae)
        text = CLIPTextModel(text_config(found, byte_tokenizer()))
        calls: dict[str, Callable[[], object]] = {
            "unet": lambda: unet(torch.zeros(1, 4, side, side), torch.zeros(1), torch.zeros(1, 77, width)),
            "vae": lambda: vae.encode(torch.zeros(1, 3, pixels, pixels)),
            "text": lambda: text(torch.zeros(1, 77, dtype=torch.long)),
        }
        return {name: counted(call) for name, call in calls.items()}


def counted(call: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def encoding_share(shape: str, pixels: int) -> float:
    """Operations of VAE and text encoder over those of the U-Net's training step."""
    found = flops(shape, pixels)
    return (found["vae"] + found["text"]) / (3 * found["unet"])
