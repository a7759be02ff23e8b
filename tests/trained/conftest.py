"""Runs on a backbone smaller than the suite's, compared by thumbnails; how often a training step is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trained_case import Command, Outcome

from replication_bench import cli
from replication_bench.training import Trainer

pytest.importorskip("faiss")


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("small") / "small", levels=4, channels=8)


@pytest.fixture
def settings() -> tuple[str, ...]:
    return (
        *("sample.steps=2", "sample.batch_size=2", "methods.wen.iterations=2"),
        *("measure.bootstrap=0", "measure.embedder=pixels"),
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, settings: tuple[str, ...]) -> Command:
    """``replbench run --out tmp_path/<out>``, with quick settings unless ``plain``."""

    def run(*flags: str, out: str = "runs", plain: bool = False) -> Outcome:
        more = () if plain else [word for setting in settings for word in ("--set", setting)]
        capsys.readouterr()
        try:
            cli.main(["run", *flags, *more, "--out", str(tmp_path / out), "--json"])
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        text, err = capsys.readouterr()
        results = {result["method"]["name"]: result for result in json.loads(text or "[]")}
        return Outcome(status, results, err)

    return run


@pytest.fixture
def flags(small: Path, pictures: Path) -> list[str]:
    return [
        *("--dataset", str(pictures), "--backbone", str(small), "--budget", "8", "--samples", "4"),
        *("--set", "train.batch_size=4", "--set", "train.warmup_images=0"),
    ]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stage of every training step that is made."""
    made: list[str] = []
    step = Trainer.step

    def counted(self: Trainer, state: Any, stage: Any, start: int, stop: int) -> float:
        made.append(stage.name)
        return step(self, state, stage, start, stop)

    monkeypatch.setattr(Trainer, "step", counted)
    return made
