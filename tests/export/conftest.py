"""Finished runs of a few seconds, made by the command, and a stranger's process that loads what they export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from replication_bench import cli
from replication_bench.seeds import Seeds
from replication_bench.testing import planted_folder

SAMPLES, STEPS, GUIDANCE = 3, 3, 3.0
STRANGER = """
import json, sys
import numpy as np

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"replication_bench", "loyal", "baselines", "reports"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import torch
from diffusers import DiffusionPipeline

noise = torch.load("noise.pt", weights_only=True)
for job in json.loads(sys.argv[1]):
    options = {"trust_remote_code": True} if job["routed"] else {}
    if job["routed"]:
        try:
            DiffusionPipeline.from_pretrained(job["folder"])
        except ValueError as error:
            assert "Pass `trust_remote_code=True`" in str(error)
        else:
            raise AssertionError("code was run without the flag")
    pipeline = DiffusionPipeline.from_pretrained(job["folder"], **options)
    assert type(pipeline.unet).__name__ == ("RoutedUNet" if job["routed"] else "UNet2DConditionModel")
    made = pipeline(
        job["prompts"], latents=noise, num_inference_steps=job["steps"], guidance_scale=job["guidance"],
        output_type="np",
    )
    np.save(job["folder"] + ".npy", made.images)
    exec(job["snippet"])
assert not {"replication_bench", "loyal"} & set(sys.modules)
"""


@pytest.fixture(scope="session")
def runs(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of finished runs by method."""
    room = tmp_path_factory.mktemp("exported")
    planted_folder(room / "images", 8, duplicates=2)
    settings = (
        *("train.batch_size=4", f"sample.steps={STEPS}", f"sample.guidance_scale={GUIDANCE}"),
        *("measure.bootstrap=0", "measure.embedder=pixels", "methods.wen.iterations=1"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLBENCH_CACHE", str(room / "cache"))
        cli.main(
            [
                *("run", "--method", "loyal", "--method", "wen", "--dataset", str(room / "images")),
                *("--backbone", str(tiny), "--budget", "8", "--samples", str(SAMPLES)),
                *("--out", str(room / "runs"), "--json"),
                *(word for setting in settings for word in ("--set", setting)),
            ]
        )
    return {path.name.split("-")[1]: path for path in (room / "runs").iterdir()}


@pytest.fixture
def export(replbench: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``replbench export``; returns status, output and error output."""
    return partial(replbench, "export")


def noise(seed: int = 0) -> torch.Tensor:
    """The initial noise of the run's samples."""
    rngs = [Seeds(seed).torch("sample", index) for index in range(SAMPLES)]
    return torch.stack([torch.randn((4, 8, 8), generator=rng) for rng in rngs])


@pytest.fixture
def stranger(tmp_path: Path) -> Callable[[list[dict[str, Any]]], None]:
    """Loads folders in a process of its own, in which replbench cannot be imported; leaves images beside them."""

    def load(jobs: list[dict[str, Any]]) -> None:
        torch.save(noise(), tmp_path / "noise.pt")
        told = [{"steps": STEPS, "guidance": GUIDANCE, **job} for job in jobs]
        done = subprocess.run(
            [sys.executable, "-c", STRANGER, json.dumps(told)],
            cwd=tmp_path,
            env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    return load
