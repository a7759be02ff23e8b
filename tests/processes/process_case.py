"""A small run for the tests of several processes; as a script, what each of two processes does.

``accelerate launch ... process_case.py FOLDER``, with a tiny backbone and pictures in FOLDER.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from replication_bench import encoding, kept
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.denoiser import UNetDenoiser
from replication_bench.embedders import cache
from replication_bench.errors import ConfigError
from replication_bench.method import Context, Encoded, Method
from replication_bench.processes import Processes, group, joined
from replication_bench.processes.agreement import check_same, check_seen

BATCH = 5  # cut into 2 and 3
IMAGES = 4 * BATCH + 1  # five steps; the last one has no row for the first of two processes
STEPS = 5
CHUNK = 2  # images that are embedded or encoded at a time
SAMPLES = 5  # in batches of 2: the last one is smaller, and one process has a batch more
RUN = (
    *("--budget", "21", "--samples", "5", "--json"),
    *(
        word
        for setting in (
            "reference=dual",
            "train.batch_size=5",
            "train.checkpoint_images=5",
            "train.precision=fp32",
            "train.flip=0.5",
            "train.warmup_images=0",
            "train.learning_rate=0.02",
            "sample.steps=2",
            "sample.batch_size=2",
            "measure.bootstrap=0",
            "measure.embedder=pixels",
        )
        for word in ("--set", setting)
    ),
)


@functools.cache
def backbone(folder: Path) -> Backbone:
    """The tiny backbone."""
    return Backbone.load(f"{folder}/tiny")


class Recording(Method):
    """Plain fine-tuning that keeps what was drawn for the rows that this process computes."""

    def loss(self, denoiser: Any, encoded: Encoded, t: Tensor, noise: Tensor, ctx: Context) -> Tensor:
        ctx.remember("drawn", list).append((encoded.latents, encoded.cond, t, noise))
        return super().loss(denoiser, encoded, t, noise, ctx)


class Halves(Method):
    """Plain gradient descent, which the size of a gradient shows in, by two slices of a step one after the other."""

    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=ctx.train.learning_rate)

    def update(self, step: Any, ctx: Context) -> Tensor:
        losses = []
        for rows in (slice(0, 3), slice(3, step.rows)):
            if range(step.rows)[rows]:
                losses.append(step.losses(rows))
                step.backward(losses[-1].sum() / step.rows)
        step.clip()
        step.optimiser.step()
        step.optimiser.zero_grad()
        return torch.cat(losses).detach()


def arguments(folder: Path, out: str) -> list[str]:
    """A run of the command on the pictures in ``folder``."""
    where = ("--dataset", f"{folder}/images", "--backbone", f"{folder}/tiny", "--out", f"{folder}/{out}")
    return ["run", *where, *RUN]


def context(folder: Path, **train: Any) -> Context:
    """What the hooks of a method look at."""
    from replication_bench.testing.case import example

    settings = {"batch_size": BATCH, "warmup_images": 0, "precision": "fp32", "checkpoint_images": BATCH}
    return Context(
        backbone(folder),
        TrainConfig(**{**settings, **train}),
        SampleConfig(samples=SAMPLES, batch_size=2, steps=3),
        training=Examples(tuple(example(index) for index in range(6))),
    )


class Stopped(Exception):  # noqa: N818 - a stop, no error
    """As a kill would."""


def train(
    method: Method, ctx: Context, job_folder: Path, processes: Processes, stop: int | None = None
) -> dict[str, Any]:
    """Five steps through the harness: final weights, or those so far where it stops, and the loss of each step."""
    from accelerate import Accelerator
    from safetensors.torch import load_file

    from replication_bench.encoding import Encoder
    from replication_bench.training import StageJob, Trainer

    assert ctx.training is not None
    encoder = Encoder(method, ctx.training, ctx.backbone, 0.5, processes=processes)
    encoder.warm()
    accelerator = Accelerator(cpu=True, mixed_precision="no")
    trainer = Trainer(method, ctx.training, encoder, ctx, ctx.seeds, accelerator, processes)
    job = StageJob(method.stages(ctx.backbone.num_timesteps)[0], IMAGES, job_folder)
    losses = []

    def progress(done: int, loss: float) -> None:
        losses.append(float(loss))
        if stop is not None and done > stop:
            raise Stopped

    with contextlib.suppress(Stopped):
        trainer.train_stage(job, progress)
    weights = load_file(job.final) if job.final.exists() else {}
    return {"weights": weights, "losses": losses[1:], "drawn": ctx.memo.get("drawn", [])}


def latents(folder: Path, processes: Processes, cache: str, disk: str) -> dict[str, Any]:
    """Latents and text states of all images, and how many images this process encoded."""
    from replication_bench.encoding import Encoder

    os.environ["REPLBENCH_CACHE"] = str(folder / disk)
    ctx, seen = context(folder), []
    ctx.backbone.encode_images = lambda images: (
        seen.append(len(images))
        or Backbone.encode_images(  # type: ignore[method-assign]
            ctx.backbone, images
        )
    )
    assert ctx.training is not None
    encoder = Encoder(Method(), ctx.training, ctx.backbone, 0.5, cache, processes=processes)
    try:
        encoder.warm()
        cached = encoder.cached
    finally:
        del ctx.backbone.encode_images
    assert cached is not None
    rows = [torch.stack([one[row] for row in range(len(ctx.training))]) for one in cached if one is not None]
    return {"rows": rows, "texts": encoder.texts(["", ctx.training[1].captions[0]]), "encoded": sum(seen)}


def all_latents(folder: Path, processes: Processes, name: str) -> dict[str, Any]:
    """In memory, on a disk that all see, and on a disk of each process."""
    before = os.environ["REPLBENCH_CACHE"]
    own = f"{name}-latents-{processes.rank}"
    found = {
        "memory": latents(folder, processes, "memory", own),
        "shared disk": latents(folder, processes, "disk", f"{name}-latents"),
        "own disk": latents(folder, processes, "disk", own),
    }
    os.environ["REPLBENCH_CACHE"] = before
    return found


def sample(folder: Path, processes: Processes) -> dict[int, Tensor]:
    """Latents before they are decoded and rounded, by the first sample of the batch."""
    from replication_bench.sampling import Sampler, plan

    ctx = context(folder)
    method = Method()
    sampler = Sampler(method, UNetDenoiser(ctx.backbone.unet), ctx, ctx.sample, ctx.seeds)
    assert ctx.training is not None
    samples = plan(ctx.training, SAMPLES)
    starts = range(0, SAMPLES, 2)
    found = processes.share(
        starts,
        lambda start: sampler.latents(
            samples[start : start + 2], tuple(s.caption for s in samples[start : start + 2])
        ),
    )
    return dict(zip(starts, found, strict=True))


def trainings(folder: Path, processes: Processes, name: str) -> dict[str, Any]:
    """Everything that is trained both alone and together."""
    from baselines.losscut import LossCut

    methods: dict[str, tuple[Method, dict[str, Any]]] = {
        "plain": (Recording(), {}),
        "averaged": (Method(), {"ema_decay": 0.5}),
        "coupled": (LossCut(threshold=0.25), {}),
        "halves": (Halves(), {"learning_rate": 0.5, "clip_norm": 1e9}),
    }
    return {
        key: train(method, context(folder, **settings), folder / name / key, processes)
        for key, (method, settings) in methods.items()
    }


def caught(work: Callable[[], Any]) -> str:
    """The kind and the line of the error that ``work`` ends with."""
    try:
        work()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def fail(processes: Processes, *ranks: int) -> None:
    """A user's mistake in some of the processes."""
    if processes.rank in ranks:
        raise ConfigError(f"mistake in {processes.rank}")


def errors(processes: Processes) -> dict[str, str]:
    """How mistakes end: in one process, beside another's message, within a step."""

    def alone_at_the_end() -> None:
        with processes.together():
            fail(processes, 1)

    def beside_a_message() -> None:
        with processes.together():
            fail(processes, 1)
            processes.first(lambda: 1)

    def in_step_of_all() -> None:
        with processes.together(), processes.in_step():
            fail(processes, 0, 1)

    def in_step_of_one() -> None:
        with processes.in_step():
            fail(processes, 1)

    found = {work.__name__: caught(work) for work in (alone_at_the_end, beside_a_message, in_step_of_all)}
    found["in_step_of_one"] = caught(in_step_of_one)
    processes.exchange()
    return found


def disagreements(folder: Path, processes: Processes) -> dict[str, str]:
    """How processes end that differ in one thing, and that differ in none."""
    rank = processes.rank
    told = ("id", "cpu", "no"), ("other", "cpu", "no"), ("id", "cuda", "no"), ("id", "cpu", "bf16")
    names = ("nothing", "run", "device", "precision")
    found = {
        name: caught(lambda mine=told[index * rank]: check_same(processes, *mine))  # type: ignore[misc]
        for index, name in enumerate(names)
    }
    for name, mine in (("one folder", folder), ("two folders", folder / f"of-{rank}")):
        mine.mkdir(exist_ok=True)
        (mine / "config.json").write_text("left by an earlier attempt", encoding="utf-8")
        found[name] = caught(lambda mine=mine: check_seen(processes, mine))  # type: ignore[misc]
        processes.exchange()
        found[f"left in {name}"] = " ".join(path.name for path in mine.glob(".seen*"))
    return found


def sharded(folder: Path, processes: Processes) -> dict[str, Any]:
    """Training with FSDP, stopped and gone on with: Accelerate shards on GPUs alone, so it is told that these are."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    os.environ.update(ACCELERATE_USE_FSDP="true", FSDP_VERSION="2", FSDP_RESHARD_AFTER_FORWARD="false")
    AcceleratorState._reset_state()
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    ctx = context(folder, ema_decay=0.5)
    try:
        for stop in (2 * BATCH, None):
            found = train(Method(), ctx, folder / "together" / "sharded", processes, stop)
    finally:
        del os.environ["ACCELERATE_USE_FSDP"]
        AcceleratorState._reset_state()
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_CPU
    return found


def command(*words: str) -> tuple[int, str, str]:
    """Status and output of the command."""
    from replication_bench import cli

    out, err, status = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(list(words))
        except SystemExit as stop:
            status = int(stop.code or 0)
    return status, out.getvalue(), err.getvalue()


def prepared(rank: int) -> tuple[list[int], tuple[int, str, str]]:
    """Which of the processes prepares the data of a run, and how the command ends where that is a mistake."""
    from replication_bench.commands import prepare

    make, seen = prepare.make, []

    def refuse(*_: Any) -> Any:
        seen.append(rank)
        raise ConfigError(f"mistake in {rank}")

    prepare.make = refuse
    try:
        return seen, command("run", "--dataset", "laion-subset", "--prepare", "--metadata", "x.parquet")
    finally:
        prepare.make = make


def embedded() -> dict[str, int]:
    """How many images each embedder is given in this process from now on."""
    from replication_bench.embedders.torch_embedder import TorchEmbedder

    counts: dict[str, int] = {}
    features = TorchEmbedder.features

    def counted(self: TorchEmbedder, images: Any) -> Any:
        counts[self.name] = counts.get(self.name, 0) + len(images)
        return features(self, images)

    TorchEmbedder.features = counted  # type: ignore[method-assign]
    return counts


def main(folder: Path) -> None:
    """What each process does; what it saw goes into a file of its own."""
    from accelerate import PartialState

    os.environ["REPLBENCH_CACHE"] = str(folder / "cache-together")
    # the command runs several times in these processes
    PartialState.destroy_process_group = lambda self, group=None: None  # type: ignore[method-assign]
    group.LINGER, group.MEET = 0.0, timedelta(seconds=4)
    cache.CHUNK = encoding.CHUNK = kept.ROWS = CHUNK
    with joined("cpu") as processes:
        rank = processes.rank
        found: dict[str, Any] = {"trained": trainings(folder, processes, "together")}
        found["stopped"] = train(
            Method(), context(folder), folder / "together" / "stopped", processes, 2 * BATCH
        )
        found["sampled"] = sample(folder, processes)
        found["latents"] = all_latents(folder, processes, "together")
        found["errors"] = errors(processes)
        found["disagreements"] = disagreements(folder, processes)
        found["sharded"] = sharded(folder, processes)
        words = arguments(folder, "together-runs")
        found["refused"] = {
            "dp": command(*words, "--method", "dp"),
            "word": command(*words, "--method", "nosuch"),
            "precision": refused_precision(words),
            "batch": command(*words, "--set", "train.batch_size=1"),
            "other": command("doctor"),
        }
        found["prepared"] = prepared(rank)
        counts = embedded()
        found["command"] = command(*words)
        found["embedded"] = counts
        torch.save(found, folder / f"process-{rank}.pt")
        killed(folder)


def killed(folder: Path) -> None:
    """The command, killed as soon as there is a checkpoint."""
    from replication_bench.training_state import TrainingState

    save = TrainingState.save

    def save_and_die(self: TrainingState, path: Path, images: int) -> None:
        save(self, path, images)
        os.kill(os.getpid(), signal.SIGKILL)

    TrainingState.save = save_and_die  # type: ignore[method-assign]
    command(*arguments(folder, "killed-runs"))


def refused_precision(words: list[str]) -> tuple[int, str, str]:
    """A launch that asks for bf16 where the recipe says fp32."""
    os.environ["ACCELERATE_MIXED_PRECISION"] = "bf16"
    try:
        return command(*words)
    finally:
        os.environ["ACCELERATE_MIXED_PRECISION"] = "no"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
