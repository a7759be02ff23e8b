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
from collections.abc import Callable

import torch
from case import (
    BareLoop,
    PlainLoop,
    Stepper,
    encoding_share,
    encoding_time,
    images_on_disk,
    new_trainer,
    repeated,
    steps_a_call,
    with_vae,
)
from timing import forget, machine, megabytes, race, table

from loyal.method import Dual, Loyal
from replication_bench.backbone import Backbone
from replication_bench.data.example import Examples
from replication_bench.method import Method
from replication_bench.training import Trainer

OPTIONS: dict[str, dict] = {
    "harness": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "4 passes a step": {"accumulate": 4},
}
PAIRS = (
    ("harness", "plain loop", "images/s", ">= 1.30"),
    ("harness", "bare loop", "images/s", ">= 0.97"),
    ("loyal, tail (RAU-Net)", "dual, tail", "seconds", "<= 1.10"),
)
HEAD = ["way", "images/s", "ratio of", "ratio", "target"]


def makers(
    backbone: Backbone, data: Examples, batch: int, **train: object
) -> dict[str, Callable[[], Callable]]:
    """The ways of one step, by name; each made when it is timed, since each holds a network and its optimiser."""

    def trainer(method: Method) -> Trainer:
        return new_trainer(backbone, data, method, batch_size=batch, **train)

    steps = steps_a_call(backbone.device)
    return {
        "plain loop": lambda: repeated(PlainLoop(trainer(Method())), steps),
        "bare loop": lambda: repeated(BareLoop(trainer(Method())), steps),
        "harness": lambda: Stepper(trainer(Method()), steps=steps),
        # the control sees the tail's timesteps as the RAU-Net does
        "dual, tail": lambda: Stepper(trainer(Dual()), steps=steps),
        "loyal, tail (RAU-Net)": lambda: Stepper(trainer(Loyal()), steps=steps),
    }


def speed(backbone: Backbone, data: Examples, batch: int, rounds: int) -> list[list[str]]:
    """Rows of a table: way, images a second, against which, ratio, target."""
    made, rows = makers(backbone, data, batch), []
    images = batch * steps_a_call(backbone.device)
    for way, base, unit, target in PAIRS:
        pair = {name: made[name]() for name in (way, base)}
        found = race(pair, backbone.device, rounds)
        ratio = found[way].over(found[base])
        shown = ratio if unit == "seconds" else 1 / ratio
        rows.append([way, f"{images / found[way].seconds:.2f}", f"{unit} of {base}", f"{shown:.3f}", target])
        del pair
        forget(backbone.device)
    return rows


def memory(backbone: Backbone, data: Examples, batch: int) -> list[list[str]]:
    """Rows of a table: option, memory of a step above what was held before it, seconds."""
    rows = []
    for name, options in OPTIONS.items():
        step = Stepper(new_trainer(backbone, data, Method(), batch_size=batch, **options))
        step()  # makes the optimiser's state, which is held from then on
        found = race({name: step}, backbone.device, 1)[name]
        rows.append([name, megabytes(found.memory), f"{found.seconds:.2f}"])
        del step
        forget(backbone.device)
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
        print(table(HEAD, speed(backbone, data, asked.batch, asked.rounds)))
        print(table(["option", "memory of a step, MiB", "seconds"], memory(backbone, data, asked.batch)))


if __name__ == "__main__":
    main()
