"""The quick embedder behind the name ``sscd``, the command as a user calls it, and two sets of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_cases import Command, Quick
from drawn import fill, noise

from replication_bench import plugins


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Quick]:
    """The quick embedder in place of SSCD, and a cache of one's own."""
    load = plugins.load
    monkeypatch.setattr(
        plugins,
        "load",
        lambda kind, name: Quick if (kind, name) == ("embedders", "sscd") else load(kind, name),
    )
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    Quick.seen = Quick.batches = 0
    return Quick


@pytest.fixture
def command(quick: type[Quick], replbench: Command) -> Command:
    """Runs ``replbench`` with the quick embedder; returns status, stdout and stderr."""
    return replbench


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    """Six generated images, of which two copy training images; eight training images."""
    train = fill(tmp_path / "train", [f"{i}.png" for i in range(8)], "train")
    generated = fill(tmp_path / "generated", [f"{i}.png" for i in range(6)], "generated")
    noise("train3.png").save(generated / "1.png", compress_level=0)
    noise("train5.png").save(generated / "4.png", compress_level=0)
    return generated, train
