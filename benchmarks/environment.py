#!/usr/bin/env python3
"""What threads that spin and memory that is kept do for a training step on the CPU.

    python benchmarks/environment.py

Both are settled before a process begins to compute, so every way is a process of its own; they take turns, and only the
ratios are to be quoted. Spinning threads win on cores of their own and lose many times more on cores that others use.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

from timing import table

PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
WAYS = {
    "threads sleep": (PASSIVE, False),
    "threads sleep, memory kept": (PASSIVE, True),
    "threads spin": ({}, False),
    "threads spin, memory kept": ({}, True),
}
HEAD = ["way", "s a step", "ratio", "page faults a step"]


def steps(count: int, batch: int, keep: bool) -> dict[str, float]:
    """Seconds and page faults of a step of the shipped U-Net, in this process."""
    import resource

    import torch

    from replication_bench import machine
    from replication_bench.backbone import Backbone

    if keep:
        machine.keep_freed_memory()
    backbone = Backbone.load("pocket", device="cpu")
    unet = backbone.unet.requires_grad_(True).to(memory_format=torch.channels_last)
    latents = torch.randn(batch, *backbone.latent_shape).to(memory_format=torch.channels_last)
    states = torch.randn(batch, *backbone.states_shape)
    timesteps = torch.randint(0, 1000, (batch,))

    def step() -> None:
        unet.zero_grad(set_to_none=True)
        unet(latents, timesteps, states).sample.square().mean().backward()

    for _ in range(2):
        step()
    faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    for _ in range(count):
        step()
    seconds = time.perf_counter() - start
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return {"seconds": seconds / count, "faults": faults / count}


def in_process(way: str, count: int, batch: int) -> dict[str, float]:
    """The same in a process of its own."""
    added, keep = WAYS[way]
    inherited = {name: value for name, value in os.environ.items() if name not in PASSIVE}
    command = [sys.executable, __file__, "--steps", str(count), "--batch", str(batch), "--in-process"]
    done = subprocess.run(
        [*command, "kept" if keep else "as is"],
        env={**inherited, **added},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--in-process", choices=("kept", "as is"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.in_process:
        print(json.dumps(steps(given.steps, given.batch, given.in_process == "kept")))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(given.rounds):
        for way, done in found.items():
            done.append(in_process(way, given.steps, given.batch))
    base = [one["seconds"] for one in found["threads sleep"]]
    rows = []
    for way, done in found.items():
        ratio = median(one["seconds"] / other for one, other in zip(done, base, strict=True))
        middle = {key: median(one[key] for one in done) for key in ("seconds", "faults")}
        rows.append([way, f"{middle['seconds']:.3f}", f"{ratio:.2f}", f"{middle['faults']:,.0f}"])
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, batches of {given.batch}\n")
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
