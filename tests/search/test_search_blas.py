from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from replication_bench.search.blas import VARIABLE, best_kernels, cpu_features, fast_kernels

AVX512 = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("features", "kernels"),
    [
        ({"sse3", "avx2", "fma", *AVX512}, "SkylakeX"),
        ({"sse3", "avx2", "fma", *AVX512 - {"avx512vl"}}, "Haswell"),
        ({"avx2"}, None),
        (set(), None),
    ],
)
def test_only_kernels_that_the_processor_can_run(features: set[str], kernels: str | None) -> None:
    assert best_kernels(features) == kernels


def test_features_are_those_of_the_first_processor(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_features(file) == {"fpu", "avx2", "fma"}
    assert cpu_features(tmp_path / "elsewhere") == frozenset()


def test_the_users_choice_stands_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.search.blas.cpu_features", lambda: {"avx2", "fma"})
    monkeypatch.delenv(VARIABLE, raising=False)
    with fast_kernels():
        assert os.environ[VARIABLE] == "Haswell"
    assert VARIABLE not in os.environ
    monkeypatch.setenv(VARIABLE, "Nehalem")
    with fast_kernels():
        assert os.environ[VARIABLE] == "Nehalem"
    assert os.environ[VARIABLE] == "Nehalem"


@pytest.mark.skipif(
    best_kernels(cpu_features()) is None, reason="an old processor, or not an x86 under Linux"
)
def test_faiss_computes_with_them() -> None:
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from replication_bench.search.library import library\n"
        "library()\n"
        "print(*(i['architecture'] for i in threadpool_info() if 'faiss' in i['filepath'] and 'architecture' in i))"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    if done.stdout.strip():  # a FAISS built against another library shows none
        assert done.stdout.split() == [best_kernels(cpu_features())]
