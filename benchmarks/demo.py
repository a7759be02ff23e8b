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
from collections.abc import Sequence
from pathlib import Path

import torch
from timing import machine, table

STEPS = ("train", "sample", "measure")
USUAL = "encodes at every step (usual)"
WAYS = {USUAL: "none", "replbench": "memory"}
HEAD = ["way", *(f"{step}, s" for step in (*STEPS, "whole")), "training faster", "peak of host memory, MiB"]


class RunError(Exception):
    """The command ended with another status than 0; the message is the end of what it said."""


def run(cache: str, flags: Sequence[str], device: str = "") -> dict[str, float]:
    """Seconds of each step summed over the methods, of everything, and the peak of memory in MiB.

    Raises:
        RunError: see there.
    """
    place = {"ACCELERATE_USE_CPU": "true"} if device == "cpu" else {}
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
            *flags,
        ]
        start = time.perf_counter()
        with (Path(folder) / "output").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                env={**os.environ, **place, "REPLBENCH_CACHE": f"{folder}/cache"},
            )
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                process.wait()
                raise
        total = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status):
            raise RunError((Path(folder) / "output").read_text(encoding="utf-8")[-2000:])
        files = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).glob("*/seconds.json")]
        found = {step: sum(seconds.get(step, 0.0) for seconds in files) for step in STEPS}
        return {**found, "whole": total, "peak": usage.ru_maxrss / 1024}


def compare(flags: Sequence[str], device: str = "") -> list[list[str]]:
    """Rows of a table: the run of ``flags`` in both ways; on the CPU where ``device`` is ``cpu``."""
    found = {name: run(cache, flags, device) for name, cache in WAYS.items()}
    rows = []
    for name, way in found.items():
        times = [f"{way[step]:.1f}" for step in (*STEPS, "whole")]
        rows.append([name, *times, f"{found[USUAL]['train'] / way['train']:.2f}x", f"{way['peak']:,.0f}"])
    return rows


def flags_of(asked: argparse.Namespace) -> list[str]:
    """What was typed, as ``replbench run`` takes it; LoyalDiffusion with the budget ``tiny`` where nothing was."""
    flags = [part for method in asked.method or ["loyal"] for part in ("--method", method)]
    budget = asked.budget or (None if asked.recipe else "tiny")
    given = {name: getattr(asked, name) for name in ("recipe", "dataset", "samples", "backbone")}
    for name, value in {**given, "budget": budget}.items():
        flags += [f"--{name}", str(value)] if value is not None else []
    return flags + [part for setting in asked.set or () for part in ("--set", setting)]


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
    print(machine(torch.device("cpu")))
    try:
        print(table(HEAD, compare(flags_of(asked))))
    except RunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
