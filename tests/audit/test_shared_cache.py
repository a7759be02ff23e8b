from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import pytest
from drawn import fill

from replication_bench.audit.indexing import cached_index
from replication_bench.config import NamedOptions
from replication_bench.embedders.pixels import Pixels
from replication_bench.sources.opening import open_source
from replication_bench.store import locked


def test_an_audit_waits_for_another_one_of_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REPLBENCH_CACHE", str(tmp_path / "cache"))
    source = open_source(str(fill(tmp_path / "x", ["1.png", "2.png"])))
    given = (source, NamedOptions(name="pixels"), Pixels(), lambda done: None)
    folder = cached_index(*given).folder
    assert capsys.readouterr().err == ""
    released: list[float] = []

    def hold() -> None:
        with locked(folder):
            time.sleep(0.5)
            released.append(time.monotonic())

    other = Thread(target=hold)
    other.start()
    time.sleep(0.1)
    assert len(cached_index(*given).rows) == 2
    assert released
    assert capsys.readouterr().err.startswith("waiting for another replbench")
    other.join()
