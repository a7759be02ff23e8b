#!/usr/bin/env python3
"""A training step: cached against the plain loop, the harness against a bare loop, RAU-Net against a U-Net.

    python benchmarks/training.py                       # random weights of Stable Diffusion 2.1's classes, CPU
    python benchmarks/training.py --device cuda --backbone random:sd21 --pixels 256 --batch 16

The plain loop is the field's usual one: it opens, resizes and encodes images and captions at every step. All ways are
timed in turns within one run; only the ratios are to be quoted. With a narrow backbone its VAE is widened until
encoding takes about the share that it has in Stable Diffusion 2.1, which is printed.
"""

from __future__ import annotations

import argparse

import torch
from case import (
    BareLoop,
    PlainLoop,
    Stepper,
    encoding_share,
    encoding_time,
    images_on_disk,
    new_trainer,
    with_vae,
)
from timing import machine, megabytes, race, ratios, table

from loyal.method import Dual, Loyal
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.method import Method

OPTIONS = {
    "harness": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "4 passes a step": {"accumulate": 4},
}


def steps(backbone: Backbone, data: Examples, batch: int) -> dict:
    """The ways of one step, by name."""
    plain = new_trainer(backbone, data, Method(), batch_size=batch)
    return {
        "plain loop": PlainLoop(plain),
        "bare loop": BareLoop(plain),
        "harness": Stepper(plain),
        # the controls see the tail's timesteps as the RAU-Net does
        "dual, tail": Stepper(new_trainer(backbone, data, Dual(), batch_size=batch)),
        "loyal, tail (RAU-Net)": Stepper(new_trainer(backbone, data, Loyal(), batch_size=batch)),
    }


def speed(backbone: Backbone, data: Examples, batch: int, rounds: int) -> list[list[str]]:
    """Rows of a table: way, images a second, against which, ratio, target."""
    ways, device = steps(backbone, data, batch), backbone.device
    for way in ways.values():
        way()  # the first step fills the caches
    raced = race(ways, device, rounds)
    pairs = (
        ("harness", "plain loop", "images/s", ">= 1.30"),
        ("harness", "bare loop", "images/s", ">= 0.97"),
        ("loyal, tail (RAU-Net)", "dual, tail", "seconds", "<= 1.10"),
    )
    rows = []
    for way, base, unit, target in pairs:
        ratio = ratios({way: ways[way], base: ways[base]}, device, rounds, base)[way]
        shown = ratio if unit == "seconds" else 1 / ratio
        rows.append([way, f"{batch / raced[way].seconds:.2f}", f"{unit} of {base}", f"{shown:.3f}", target])
    return rows


def memory(backbone: Backbone, data: Examples, batch: int) -> list[list[str]]:
    """Rows of a table: option, memory of a step above what was held before it, seconds."""
    rows = []
    for name, options in OPTIONS.items():
        step = Stepper(new_trainer(backbone, data, Method(), batch_size=batch, **options))
        step()
        found = race({name: step}, backbone.device, 1)[name]
        rows.append([name, megabytes(found.memory), f"{found.seconds:.2f}"])
    return rows


def at_sd_cost(backbone: Backbone, data: Examples, batch: int) -> tuple[Backbone, float]:
    """The widest VAE whose encoding takes no larger share of the time than Stable Diffusion 2.1's operations.

    On a CPU the narrow VAE does more operations a second than the narrow U-Net, so equal operations would be too
    cheap. Returns the backbone, and the share.
    """
    want, best = encoding_share("sd21", 256), (backbone, 0.0)
    for width in range(16, 65, 4):
        tried = with_vae(backbone, width)
        share = encoding_time(new_trainer(tried, data, Method(), batch_size=batch))
        if share > want:
            break
        best = (tried, share)
    return best


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backbone", default="random:sd21-mini")
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    backbone = Backbone.load(asked.backbone, asked.device, asked.pixels)
    print(machine(backbone.device))
    with images_on_disk(2 * asked.batch, 2 * asked.pixels) as data:
        print(
            f"encoding over the U-Net's step, operations of SD 2.1 at 256 px: {encoding_share('sd21', 256):.2f}"
        )
        if asked.backbone.endswith("-mini"):
            backbone, share = at_sd_cost(backbone, data, asked.batch)
            print(f"the same timed here, over a VAE of {backbone.vae.config.block_out_channels}: {share:.2f}")
        head = ["way", "images/s", "ratio of", "ratio", "target"]
        print(table(head, speed(backbone, data, asked.batch, asked.rounds)))
        print(table(["option", "memory of a step, MiB", "seconds"], memory(backbone, data, asked.batch)))


if __name__ == "__main__":
    main()
