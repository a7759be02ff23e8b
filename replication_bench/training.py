"""Train one stage of a method: one clock (images seen), random streams for every step, resumable anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch import Tensor, nn

from replication_bench.acceleration import LossMeter, ahead, depth, sent
from replication_bench.backbone import Backbone
from replication_bench.config import TrainConfig
from replication_bench.data.example import Examples
from replication_bench.encoding import Encoder
from replication_bench.method import Batch, Context, Encoded, Method, Stage
from replication_bench.processes import ALONE, Processes
from replication_bench.processes.rows import AllRows, split_losses
from replication_bench.seeds import Seeds
from replication_bench.store import write_atomic
from replication_bench.trained.weights import check_finite, load_network
from replication_bench.training_state import TrainingState

READERS = 8  # threads that open images ahead of time
Progress = Callable[[int, float], None]  # images seen in this stage, mean loss when it was last read


@dataclass(frozen=True)
class StageJob:
    """One stage to train: how many images, and where its files lie."""

    stage: Stage
    images: int
    folder: Path

    @property
    def final(self) -> Path:
        """The trained weights; present = done."""
        return self.folder / "final.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Weights, averages and optimiser state of an unfinished stage."""
        return self.folder / "checkpoint.pt"


def share_budget(stages: tuple[Stage, ...], config: TrainConfig) -> list[int]:
    """Images for each stage: the whole budget each (``per_stage``), or shared out by width so that the sum is exact."""
    if config.budget_rule == "per_stage":
        return [config.images] * len(stages)
    total, done, shares = sum(s.stop - s.start for s in stages), 0, []
    width = 0
    for stage in stages:
        width += stage.stop - stage.start
        shares.append(config.images * width // total - done)
        done += shares[-1]
    return shares


def draw_caption(method: Method, data: Examples, index: int, image: int, seeds: Seeds, dropout: float) -> str:
    """The caption of the ``image``-th image seen; empty with probability ``dropout``."""
    rng = seeds.numpy("caption", image)
    if dropout and rng.random() < dropout:
        return ""
    return method.caption(data[index].captions[0], data[index], rng)


def build_network(method: Method, backbone: Backbone, stage: Stage, seeds: Seeds) -> nn.Module:
    """The network of a stage with initial weights that depend on the seed alone."""
    with seeds.ambient("build", stage.name):
        return method.build(backbone, stage)


class Drawn(NamedTuple):
    """What a step sees before it is encoded: the stage's streams, indices, examples with captions, and images.

    ``images`` is float [n, 3, H, W] on the CPU, or None where latents are kept.
    """

    seeds: Seeds
    indices: list[int]
    batch: Batch
    images: Tensor | None


class Trainer:
    """Trains the stages of one method on one training set; several processes take each step together."""

    def __init__(
        self,
        method: Method,
        data: Examples,
        encoder: Encoder,
        ctx: Context,
        seeds: Seeds,
        accelerator: Accelerator,
        processes: Processes = ALONE,
    ):
        self.method, self.data, self.encoder, self.ctx = method, data, encoder, ctx
        self.seeds, self.accelerator, self.config = seeds, accelerator, ctx.train
        self.processes = processes

    def train_stage(
        self, job: StageJob, progress: Progress, saved: Callable[[], None] = lambda: None
    ) -> None:
        """Train until ``job.final`` exists; continues from a checkpoint where there is one.

        Args:
            job: the stage.
            progress: told after each step.
            saved: called where a checkpoint was written.

        Raises:
            WeightsError: weights that are not finite, found where they would be written.
        """
        if self.processes.first(job.final.exists):
            self.processes.first(lambda: job.checkpoint.unlink(missing_ok=True))
            progress(job.images, float("nan"))
            return
        network = self.build(job.stage)
        state = TrainingState(network, self.method, self.ctx, self.accelerator, self.processes)
        done = state.restore(job.checkpoint)
        progress(done, float("nan"))
        since, meter = 0, LossMeter(self.accelerator.device)
        for start, stop, found in self.processes.in_steps(self.steps(state, job, done)):
            loss = meter.add(found)
            progress(stop, loss)
            since += stop - start
            if since >= self.config.checkpoint_images and stop < job.images:
                state.save(job.checkpoint, stop)
                saved()
                since = 0
        weights = state.weights()
        self.processes.first(lambda: check_finite(weights, f"stage {job.stage.name}"))
        self.processes.first(lambda: write_atomic(job.final, lambda path: save_file(weights, path)))
        self.processes.first(lambda: job.checkpoint.unlink(missing_ok=True))
        self.accelerator.free_memory()

    def build(self, stage: Stage) -> nn.Module:
        """The stage's network with initial weights that depend on the seed alone."""
        network = build_network(self.method, self.ctx.backbone, stage, self.seeds)
        return network.to(self.accelerator.device)

    def load(self, job: StageJob) -> nn.Module:
        """A trained stage, rebuilt and loaded by ``load_network``; what was trained still asks for gradients."""
        return load_network(self.build(job.stage), job.final)

    def draws(self, job: StageJob, done: int) -> Iterator[tuple[tuple[int, int], Drawn]]:
        """The intervals of the clock from ``done`` on, with what they see; drawn ahead where that is asked for."""
        steps_ahead = depth(self.config.prefetch, self.accelerator.device)
        readers = READERS if steps_ahead else 1
        return ahead(
            steps(done, job.images, self.config.batch_size),
            lambda interval: self.draw(job.stage, *interval, readers),
            steps_ahead,
        )

    def draw(self, stage: Stage, start: int, stop: int, readers: int = 1) -> Drawn:
        """Examples and captions of the images [start, stop), and images where latents are not kept."""
        seeds = Seeds(self.seeds.derive("stage", stage.name))
        indices = self.method.order(len(self.data), start, stop, seeds)
        captions = tuple(
            draw_caption(self.method, self.data, index, start + row, seeds, self.config.caption_dropout)
            for row, index in enumerate(indices)
        )
        batch = Batch(tuple(self.data[index] for index in indices), captions)
        return Drawn(seeds, indices, batch, self.encoder.draw(batch, seeds, start, readers))

    def steps(self, state: TrainingState, job: StageJob, done: int) -> Iterator[tuple[int, int, Tensor]]:
        """Take every step from ``done`` on: its interval of the clock and its mean loss."""
        for (start, stop), drawn in self.draws(job, done):
            yield start, stop, self.step(state, job.stage, start, stop, drawn)

    def step(self, state: TrainingState, stage: Stage, start: int, stop: int, drawn: Drawn) -> Tensor:
        """One optimiser step on the images [start, stop) of this stage's clock; returns the mean loss."""
        count = len(drawn.indices)
        losses = self.losses(state, stage, start, drawn) if count else no_losses
        state.set_rate(learning_rate(stop, self.config))
        step = state.new_step(count, stop - start, losses, drawn.seeds.torch("update", start))
        found = self.method.update(step, self.ctx)
        state.follow()
        return found.mean() if len(found) else torch.tensor(float("nan"))

    def losses(
        self, state: TrainingState, stage: Stage, start: int, drawn: Drawn
    ) -> Callable[[slice], Tensor]:
        """Draw timesteps and noise of a step; what is returned computes the losses of its rows.

        Every process draws all of it, and computes its own part of the losses that are asked for.
        """
        method, device = self.method, self.accelerator.device
        seeds, indices, batch, images = drawn
        encoded = self.encoder.encode(batch, indices, seeds, start, images)
        encoded = method.encode(encoded, batch, self.ctx, seeds.torch("encode", start))
        t = sent(method.timesteps(len(indices), stage, seeds.torch("timesteps", start)), device)
        noise = sent(torch.randn(encoded.latents.shape, generator=seeds.torch("noise", start)), device)

        def compute(rows: slice, all_rows: AllRows) -> Tensor:
            part = Encoded(encoded.latents[rows], encoded.cond[rows])
            ctx = replace(self.ctx, all_rows=all_rows)
            with self.accelerator.autocast():
                return method.loss(state.denoiser, part, t[rows], noise[rows], ctx)

        return lambda rows: split_losses(self.processes, range(len(indices))[rows], compute)


def no_losses(rows: slice) -> Tensor:
    """The losses of a step that drew no example: random draws of a random size may be empty."""
    return torch.zeros(0)


def steps(done: int, images: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Half-open intervals of images seen, one a step; the last may be smaller."""
    for start in range(done, images, batch_size):
        yield start, min(start + batch_size, images)


def learning_rate(images: int, config: TrainConfig) -> float:
    """Linear warm-up, then constant."""
    return config.learning_rate * min(1.0, images / config.warmup_images if config.warmup_images else 1.0)
