#!/usr/bin/env python3
"""Every benchmark on a GPU in under eight minutes, without network, weights or data; writes a table to docs/.

    python benchmarks/gpu.py                                   # SD 2.1's shape at 256 px, bf16; docs/gpu-table.md
    python benchmarks/gpu.py --device cpu --small --out -      # the same code in seconds, for the tests

Each section compares ways within this run. A section that does not fit into the time that is left, or into the memory,
says so in its place. Model FLOPs utilisation is three times the U-Net's counted forward operations for each image,
over the time of a whole step of the harness, over the peak that the vendor prints for dense bf16, and over the rate
of a large matrix product measured in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import case
import sampling
import timing
import torch
import training
from embedding import race as embedding_race
from fidelity import HEAD as FID_HEAD
from fidelity import compare as compare_fid
from search import made_rows
from timing import table

from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig
from replication_bench.data.example import Examples
from replication_bench.embedders.vae import VaeLatents
from replication_bench.method import Method
from replication_bench.search import nearest
from replication_bench.store import write_atomic
from replication_bench.testing import picture

LIMIT = 460.0
# dense bf16 TFLOP/s, accumulated in fp32, from NVIDIA's data sheets
PEAKS = {
    "H200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "L40S": 362,
    "L4": 121,
    "A10": 125,
    "RTX 4090": 165,
}


@dataclass(frozen=True)
class Scale:
    """How large everything is."""

    shape: str = "sd21"
    pixels: int = 256
    batches: tuple[int, ...] = (16, 128)
    samples: int = 16
    steps: int = 50
    rounds: int = 5
    precision: str = "bf16"
    rows: int = 20_000
    dims: int = 2048
    images: int = 256
    matrix: int = 8192


SMALL = Scale("sd21-mini", 64, (2, 4), 2, 2, 1, "fp32", 200, 16, 4, 128)


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


def peak_of(device: torch.device) -> float | None:
    """The printed peak, FLOP/s; None where this table has none."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak * 1e12 for known, peak in PEAKS.items() if known in name), None)


def utilisation(bench: Bench) -> str:
    """The harness's step at each batch, eager and compiled."""
    operations = 3 * case.flops(bench.scale.shape, bench.scale.pixels)["unet"]
    measured, printed = matmul_rate(bench), peak_of(bench.device)
    rows = []
    for batch in bench.scale.batches:
        for backend in ("no", "inductor") if bench.device.type == "cuda" else ("no",):
            rows.append(one_utilisation(bench, batch, backend, operations, measured, printed))
    note = f"matrix product measured: {measured / 1e12:.3g} TFLOP/s; U-Net step: {operations / 1e9:.4g} GFLOP an image"
    head = [
        "batch",
        "compile",
        "images/s",
        "utilisation of the printed peak",
        "of the measured product",
        "memory, MiB",
    ]
    return f"{table(head, rows)}\n\n{note}"


def one_utilisation(
    bench: Bench, batch: int, backend: str, operations: float, measured: float, printed: float | None
) -> list[str]:
    """One row of ``utilisation``."""
    timing.forget(bench.device)
    try:
        options = {"batch_size": batch, "compile": backend}
        step = case.Stepper(case.new_trainer(bench.backbone, bench.data, Method(), **options))
        step()
        found = timing.race({"step": step}, bench.device, bench.scale.rounds)["step"]
    except torch.OutOfMemoryError:
        return [str(batch), backend, "out of memory", "-", "-", "-"]
    rate = operations * batch / found.seconds
    of_peak = "peak not known" if printed is None else f"{rate / printed:.1%}"
    memory = timing.megabytes(timing.peak(bench.device))
    return [str(batch), backend, f"{batch / found.seconds:.1f}", of_peak, f"{rate / measured:.1%}", memory]


def train_steps(bench: Bench) -> str:
    batch = bench.scale.batches[0]
    return table(training.HEAD, training.speed(bench.backbone, bench.data, batch, bench.scale.rounds))


def train_memory(bench: Bench) -> str:
    head = ["option", "memory of a step, MiB", "seconds"]
    return table(head, training.memory(bench.backbone, bench.data, bench.scale.batches[0]))


def samples(bench: Bench) -> str:
    scale = bench.scale
    config = SampleConfig(
        samples=scale.samples, steps=scale.steps, guidance_scale=7.5, precision=scale.precision
    )
    rows, difference = sampling.speed(bench.backbone, bench.data, config, max(1, scale.rounds // 2))
    note = f"largest difference between the latents of harness and pipeline: {difference:.1e}"
    held = sampling.offloaded(bench.backbone, bench.data, config)
    return (
        f"{table(sampling.HEAD, rows)}\n\n{note}\n\n{table(['loyal', 'seconds', 'memory held, MiB'], held)}"
    )


def embedded(bench: Bench) -> str:
    """The embedder whose weights are at hand on any machine: the shipped VAE."""
    import numpy as np

    embedder = VaeLatents(device=str(bench.device))
    images = [picture(np.random.default_rng(i), 64)[0] for i in range(bench.scale.images)]
    together, alone = embedding_race(embedder, images)
    count = len(images)
    rows = [
        ["one at a time (usual)", f"{count / alone:.0f}", "1.00x"],
        ["in batches", f"{count / together:.0f}", f"{alone / together:.2f}x"],
    ]
    return table(["way", "images/s", "faster"], rows)


def searched(bench: Bench) -> str:
    """Exact search against all similarities at once and a full sort, on the same device."""
    generated, train = (made_rows(bench.scale.rows, seed) for seed in (1, 2))

    def full_sort() -> object:
        a, b = (torch.from_numpy(rows).to(bench.device) for rows in (generated, train))
        return torch.argsort(a @ b.T, dim=1, descending=True)[:, :1].cpu()

    ways = {"full sort (usual)": full_sort, "replbench": lambda: nearest(generated, train)}
    found = timing.race(ways, bench.device, bench.scale.rounds)
    base = found["full sort (usual)"].seconds
    rows = [
        [name, f"{way.seconds:.3f}", f"{base / way.seconds:.2f}x", timing.megabytes(way.memory)]
        for name, way in found.items()
    ]
    return table(["way", "seconds", "faster", "memory, MiB"], rows)


def fid(bench: Bench) -> str:
    return table(FID_HEAD, compare_fid(2 * bench.scale.dims + 1, bench.scale.dims, 1))


# name, section, seconds that it needs on a GPU at full scale: an estimate, kept on the high side
SECTIONS: tuple[tuple[str, Callable[[Bench], str], float], ...] = (
    ("Training step", train_steps, 60),
    ("Model FLOPs utilisation", utilisation, 120),
    ("Sampling", samples, 90),
    ("Memory of a training step", train_memory, 40),
    ("Exact search", searched, 30),
    ("Embedding", embedded, 20),
    ("Frechet distance (CPU)", fid, 60),
)


def sections(bench: Bench, start: float) -> Iterator[str]:
    """Each section as Markdown, or the reason why it is missing."""
    for name, section, needs in SECTIONS:
        spent = time.monotonic() - start
        print(f"{spent:5.0f} s  {name}", flush=True)
        if spent + needs > LIMIT:
            yield f"## {name}\n\nNot run: {LIMIT - spent:.0f} s were left.\n"
            continue
        try:
            yield f"## {name}\n\n{section(bench)}\n"
        except torch.OutOfMemoryError:
            yield f"## {name}\n\nNot run: out of memory.\n"
        timing.forget(bench.device)


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
    head = f"# Measured by benchmarks/gpu.py\n\n{timing.machine(backbone.device)}; random weights of {scale.shape}\n"
    with case.images_on_disk(max(scale.batches), 2 * scale.pixels) as data:
        text = "\n".join([head, *sections(Bench(backbone, data, scale), start)])
    if asked.out == "-":
        print(text)
    else:
        write_atomic(Path(asked.out), lambda path: path.write_text(text, encoding="utf-8"))
        print(f"{time.monotonic() - start:5.0f} s  {asked.out}")


if __name__ == "__main__":
    main()
