"""Fixtures of the whole suite: no network, an own cache, the tiny backbone, a captioned folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["REPLBENCH_PLUGINS"] = "replbench"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def own_precision() -> Iterator[None]:
    """Accelerate keeps the first mixed precision for the whole process; every test may have its own."""
    yield
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="session")
def slim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import slim_backbone

    return slim_backbone(tmp_path_factory.mktemp("slim") / "slim")


@pytest.fixture
def replbench(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``replbench`` in this process; returns status, stdout and stderr."""
    from replication_bench import cli

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            cli.main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve captioned images of 32 px, no two alike."""
    import numpy as np
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"picture number {i}\n", encoding="utf-8")
    return folder
