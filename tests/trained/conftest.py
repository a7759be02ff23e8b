"""Runs on a backbone smaller than the suite's, compared by thumbnails; how often a training step is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from trained_case import Command, Outcome

from replication_bench import cli
from replication_bench.training import Trainer

pytest.importorskip("faiss")
QUICK = (
    *("sample.steps=2", "sample.batch_size=2", "methods.wen.iterations=2"),
    *("measure.bootstrap=0", "measure.embedder=pixels"),
)


def quick() -> list[str]:
    """Flags that make a run quick."""
    return [word for setting in QUICK for word in ("--set", setting)]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("small") / "small", levels=4, channels=8)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import planted_folder

    folder = tmp_path_factory.mktemp("images") / "images"
    planted_folder(folder, 10)
    return folder


@pytest.fixture(scope="session")
def run_flags(small: Path, images: Path) -> list[str]:
    return [
        *("--dataset", str(images), "--backbone", str(small), "--budget", "8", "--samples", "4"),
        *("--set", "train.batch_size=4", "--set", "train.warmup_images=0"),
    ]


@pytest.fixture
def flags(run_flags: list[str]) -> list[str]:
    return list(run_flags)


@pytest.fixture(scope="session")
def parent(run_flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of none, which no test may change."""
    out = tmp_path_factory.mktemp("parent") / "runs"
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()):
        patch.setenv("REPLBENCH_CACHE", str(out.parent / "cache"))
        cli.main(["run", *run_flags, *quick(), "--out", str(out), "--json"])
    (folder,) = out.iterdir()
    return folder


@pytest.fixture
def command(
    replbench: Callable[..., tuple[int, str, str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """``replbench run --out tmp_path/<out>``, with quick settings unless ``plain``."""

    def run(*flags: str, out: str = "runs", plain: bool = False) -> Outcome:
        more = [] if plain else quick()
        capsys.readouterr()
        status, text, err = replbench("run", *flags, *more, "--out", tmp_path / out, "--json")
        results = {result["method"]["name"]: result for result in json.loads(text or "[]")}
        return Outcome(status, results, err)

    return run


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage of every training step that is made."""
    made: list[str] = []
    step = Trainer.step

    def counted(self: Trainer, state: Any, stage: Any, *rest: Any) -> Any:
        made.append(stage.name)
        return step(self, state, stage, *rest)

    monkeypatch.setattr(Trainer, "step", counted)
    return made
