#!/usr/bin/env python3
"""A whole ``replbench run``, step by step, against the same run that encodes images and captions at every step.

    python benchmarks/demo.py                  # the budget ``tiny`` of the demo
    python benchmarks/demo.py --budget demo    # the demo itself, twice: minutes
    python benchmarks/demo.py --recipe smoke --method none

Each run is a process of its own with an empty cache of embeddings; memory is the largest that the process held.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from timing import machine, table

STEPS = ("train", "sample", "measure")
WAYS = {"encodes at every step (usual)": "none", "replbench": "memory"}


def run(cache: str, asked: argparse.Namespace) -> dict[str, float]:
    """Seconds of each step summed over the methods, of everything, and the peak of memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "replication_bench.cli",
            "run",
            "--out",
            folder,
            "--set",
            f"train.cache={cache}",
        ]
        for name in ("recipe", "dataset", "budget", "samples", "backbone"):
            command += [f"--{name}", str(getattr(asked, name))] if getattr(asked, name) is not None else []
        command += [part for method in asked.method for part in ("--method", method)]
        command += [part for setting in asked.set or () for part in ("--set", setting)]
        start = time.perf_counter()
        with (Path(folder) / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                env={**os.environ, "REPLBENCH_CACHE": f"{folder}/cache"},
            )
            _, status, usage = os.wait4(process.pid, 0)
        total = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status):
            sys.exit((Path(folder) / "output").read_text(encoding="utf-8")[-2000:])
        files = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).glob("*/seconds.json")]
        found = {step: sum(seconds.get(step, 0.0) for seconds in files) for step in STEPS}
        return {**found, "whole": total, "peak": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--method", action="append")
    parser.add_argument("--recipe")
    parser.add_argument("--dataset")
    parser.add_argument("--backbone")
    parser.add_argument("--budget")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--set", action="append", help="further settings of both runs")
    asked = parser.parse_args()
    asked.method = asked.method or ["loyal"]
    if asked.recipe is None and asked.budget is None:
        asked.budget = "tiny"
    print(machine(torch.device("cpu")))
    found = {name: run(cache, asked) for name, cache in WAYS.items()}
    base = found["encodes at every step (usual)"]
    rows = []
    for name, way in found.items():
        times = [f"{way[step]:.1f}" for step in (*STEPS, "whole")]
        rows.append([name, *times, f"{base['train'] / way['train']:.2f}x", f"{way['peak']:,.0f}"])
    print(table(["way", *(f"{step}, s" for step in (*STEPS, "whole")), "training faster", "peak, MiB"], rows))


if __name__ == "__main__":
    main()
