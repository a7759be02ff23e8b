#!/usr/bin/env python3
"""Images a second of each embedder whose weights are here: in batches, against one at a time, in one run.

python benchmarks/embedding.py --images 128 --side 128 --threads 2

One at a time is the field's usual way for protocols that keep the aspect, and in scripts with a plain loop. The ratio
is what to quote: both columns are timed in turns, so that other work on the machine slows both. The last column is the
memory of the first pass over all images, above what was held before.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import torch
from PIL import Image
from timing import Way, megabytes, race

from replication_bench import plugins
from replication_bench.embedders.protocol import Embedder
from replication_bench.errors import ReplbenchError
from replication_bench.plugins import construct
from replication_bench.testing import picture

ROUNDS = 3
CPU = torch.device("cpu")  # vectors come back there, so nothing is left to wait for
ALONE = "one at a time (usual)"


def pictures(count: int, side: int) -> list[Image.Image]:
    return [picture(np.random.default_rng(i), side)[0] for i in range(count)]


def compare(embedder: Embedder, images: list[Image.Image]) -> dict[str, Way]:
    """Both ways, by name."""
    embedder(images[:2])  # makes sessions and chooses kernels
    ways = {"in batches": lambda: embedder(images), ALONE: lambda: [embedder([image]) for image in images]}
    return race(ways, CPU, ROUNDS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="names of embedders; all that are here otherwise")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    images = pictures(options.images, options.side)
    print(
        f"{options.images} images of {options.side} px, {options.threads} threads, load {os.getloadavg()[0]:.1f}"
    )
    print(f"{'embedder':20} {'protocol':18} {'batches/s':>10} {'one/s':>8} {'ratio':>6} {'extra MiB':>9}")
    for name in options.only or plugins.available("embedders"):
        try:
            plugins.load("embedders", name).weights_found()
            embedder = construct("embedders", name, {"threads": options.threads})
        except ReplbenchError as error:
            print(f"{name:20} skipped: {str(error)[:80]}")
            continue
        found = compare(embedder, images)
        together, alone = found["in batches"], found[ALONE]
        rates = (options.images / together.seconds, options.images / alone.seconds)
        print(
            f"{name:20} {embedder.protocol.name[:18]:18} {rates[0]:10.1f} {rates[1]:8.1f} "
            f"{alone.over(together):6.2f} {megabytes(together.memory):>9}"
        )


if __name__ == "__main__":
    main()
