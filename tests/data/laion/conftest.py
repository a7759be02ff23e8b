"""A web server, the quick stand-in for img2dataset, and the command as a user calls it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from links import Command, Prepare
from web import Web, serving

from replication_bench.data.laion import download
from replication_bench.data.laion.tool import find_img2dataset
from replication_bench.errors import DataError, StoreError

HERE = Path(__file__).parent


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executable that stands for img2dataset."""
    path = tmp_path_factory.mktemp("quick") / "img2dataset"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "quick_img2dataset.py"}" "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four links a shard, so that a download has several."""
    monkeypatch.setattr(download, "SHARD", 4)


@pytest.fixture
def command(replbench: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs ``replbench`` with a cache of its own; returns status, stdout and stderr."""
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    return replbench


@pytest.fixture
def prepare(command: Command, quick: Path) -> Prepare:
    """``replbench data prepare laion-subset`` with the stand-in, small images, and equal content on one side."""

    def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
        options = ("--img2dataset", quick, "--timeout", 1, "--json")
        small = () if "--manifest" in arguments else ("--min-side", 32, "--embedder", "none")
        status, out, err = command("data", "prepare", "laion-subset", *arguments, *small, *options)
        return status, json.loads(out) if out else {}, err

    return run


@pytest.fixture(scope="session")
def img2dataset() -> Path:
    """The real one, in its environment in the user's own cache; made once, which takes about a minute."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REPLBENCH_CACHE", raising=False)
        for _ in range(300):
            try:
                return find_img2dataset("", lambda name, total: lambda done: None)
            except StoreError:  # another worker makes it
                time.sleep(1)
            except DataError as error:
                pytest.skip(str(error))
    pytest.skip("another process has been installing img2dataset for five minutes")
