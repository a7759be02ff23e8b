#!/usr/bin/env python3
"""An audit against the usual way: images embedded one at a time, the full matrix of similarities, a full sort.

Prints seconds, peak memory and their ratios at three sizes, both ways in one run, each in a process of its own.
``--sizes 250`` runs the smallest alone. Pictures are drawn, since only time and memory are measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = (250, 500, 1000)
SIDE = 128


def draw(folder: Path, count: int, seed: int) -> None:
    """``count`` smooth random pictures of 128 px."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
        small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{number}.png")


def ours(folder: Path) -> None:
    """The command, with a cache that is empty."""
    from replication_bench import cli

    os.environ["REPLBENCH_CACHE"] = str(folder / "cache")
    flags = ["--generated", str(folder / "generated"), "--train", str(folder / "train")]
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    cli.main(["audit", *flags, "--out", str(folder / "out")])
    sys.stdout = sys.__stdout__


def usual(folder: Path) -> None:
    """One image at a time, the whole matrix, every row sorted, and the same for the background."""
    from replication_bench.data.images import list_images, read_image
    from replication_bench.embedders.sscd_onnx import Sscd

    embed = Sscd()
    generated, train = (
        np.concatenate([embed([read_image(path)]) for path in list_images(folder / name)])
        for name in ("generated", "train")
    )
    for rows in (generated, train):
        similarity = rows @ train.T
        np.take_along_axis(similarity, np.argsort(-similarity, axis=1), axis=1)


def child(way: str, folder: Path) -> None:
    """Do one way and print what it took."""
    start = time.monotonic()
    {"ours": ours, "usual": usual}[way](folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.monotonic() - start, "peak_mb": peak}))


def timed(way: str, folder: Path) -> dict[str, float]:
    """One way in a process of its own."""
    command = [sys.executable, __file__, "--child", way, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(size: int) -> None:
    """Both ways at one size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder / "generated", size, 0)
        draw(folder / "train", size, 1)
        a, b = timed("ours", folder), timed("usual", folder)
    print(
        f"{size} x {size}: audit {a['seconds']:.1f} s, {a['peak_mb']:.0f} MB; usual {b['seconds']:.1f} s, "
        f"{b['peak_mb']:.0f} MB; usual / audit: time {b['seconds'] / a['seconds']:.2f}, "
        f"memory {b['peak_mb'] / a['peak_mb']:.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(asked.child[0], Path(asked.child[1]))
        return
    for size in asked.sizes:
        compare(size)


if __name__ == "__main__":
    main()
