"""The routes to FAISS on a GPU, with a stand-in that has FAISS's GPU names and computes on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import pytest

from replication_bench.search import build_index, flat_index, measured_recall, nearest
from replication_bench.search.approximate import Plan


class GpuFaiss(ModuleType):
    """FAISS as a GPU build looks, with ``gpus`` devices; ``calls`` notes what was sent to a device."""

    def __init__(self, gpus: int = 1):
        super().__init__("faiss")
        self.gpus = gpus
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(faiss, name)

    def get_num_gpus(self) -> int:
        return self.gpus

    def StandardGpuResources(self) -> object:  # noqa: N802 -- FAISS's own name
        self.calls.append("resources")
        return object()

    def GpuClonerOptions(self) -> Any:  # noqa: N802 -- FAISS's own name
        return type("Options", (), {})()

    def knn_gpu(self, res: object, xq: np.ndarray, xb: np.ndarray, k: int, metric: int) -> Any:
        self.calls.append("knn_gpu")
        return faiss.knn(xq, xb, k, metric=metric)

    def index_cpu_to_all_gpus(self, index: Any) -> Any:
        self.calls.append("all_gpus")
        return index

    def index_cpu_to_gpu(self, res: object, device: int, index: Any, options: Any) -> Any:
        assert options.useFloat16
        self.calls.append("to_gpu")
        return index


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> GpuFaiss:
    fake = GpuFaiss()
    monkeypatch.setitem(sys.modules, "faiss", fake)
    return fake


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((600, 16)).astype(np.float32)


def test_exact_search_goes_to_the_gpu_with_one_set_of_resources(
    rows: np.ndarray, gpu: GpuFaiss, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replication_bench.search.exact.QUERY_BLOCK", 300)
    found = nearest(rows, rows, 2)
    assert gpu.calls == ["resources", "knn_gpu", "knn_gpu"]
    monkeypatch.undo()
    np.testing.assert_array_equal(found.ids, nearest(rows, rows, 2).ids)


def test_a_gpu_build_that_sees_no_gpu_stays_on_the_cpu(
    rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = GpuFaiss(gpus=0)
    monkeypatch.setitem(sys.modules, "faiss", fake)
    nearest(rows, rows)
    flat_index(rows)
    assert fake.calls == []


def test_more_neighbours_than_a_gpu_selects_stay_on_the_cpu(gpu: GpuFaiss) -> None:
    nearest(np.eye(4), np.random.default_rng(0).standard_normal((3000, 4)), 2500)
    assert "knn_gpu" not in gpu.calls


def test_training_and_search_of_an_index_go_to_the_gpu(
    rows: np.ndarray, gpu: GpuFaiss, tmp_path: Path
) -> None:
    index = build_index(rows, tmp_path, "ivf-pq", plan=Plan(lists=4, probes=4, code_bytes=8, rescore=600))
    assert gpu.calls[-1] == "all_gpus"
    index.search(rows[:3])
    assert gpu.calls[-1] == "to_gpu"
    assert measured_recall(index, rows[:50]).value == 1


def test_codes_that_no_gpu_takes_are_searched_on_the_cpu(
    rows: np.ndarray, gpu: GpuFaiss, tmp_path: Path
) -> None:
    wide = np.repeat(rows, 5, axis=1)
    build_index(wide, tmp_path, "ivf-pq", plan=Plan(lists=4, code_bytes=10)).search(wide[:3])
    assert "to_gpu" not in gpu.calls


def test_the_flat_index_goes_to_all_gpus(rows: np.ndarray, gpu: GpuFaiss) -> None:
    flat_index(rows)
    assert gpu.calls[-1] == "all_gpus"
