"""``--from`` a diffusers pipeline: it is sampled as it is, and nothing is said of its training."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trained_case import Command, files, folder_of, refused

from replication_bench.results import Cost
from reports.board import Leaderboard
from reports.collect import collect
from reports.table import Table


@pytest.fixture(scope="session")
def pipeline(parent: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The backbone with the weights that the parent trained, as diffusers saves it."""
    from diffusers import StableDiffusionPipeline
    from safetensors.torch import load_file

    loaded: Any = StableDiffusionPipeline.from_pretrained(small, safety_checker=None)
    loaded.unet.load_state_dict(load_file(parent / "train" / "all" / "final.safetensors"), strict=True)
    folder = tmp_path_factory.mktemp("pipeline") / "tuned"
    loaded.save_pretrained(folder)
    return folder


@pytest.fixture
def asked(pipeline: Path, images: Path) -> list[str]:
    return ["--from", str(pipeline), "--dataset", str(images), "--samples", "4"]


def test_a_pipeline_is_sampled_without_training(
    command: Command, asked: list[str], parent: Path, steps: list[str], tmp_path: Path
) -> None:
    found = command(*asked, "--method", "wen")
    assert found.status == 0, found.err
    assert steps == []
    assert list(found.results) == ["none", "wen"]
    for result in found.results.values():
        cost = result["cost"]
        assert (cost["budget"], cost["images"], cost["trained_parameters"]) == (None, None, None)
        assert (cost["images_per_stage"], cost["trained_in"], cost["budget_rule"]) == ({}, None, "none")
        assert "fine-tuned elsewhere" in cost["reason"]
        assert "train" not in cost["seconds"]
        assert result["config"]["train"] == {"pixels": None}
        assert "on trust" in result["notes"][0]
    none, own = files(folder_of(tmp_path, found.results["none"])), files(parent)
    pictures = [name for name in own if name.endswith(".png")]
    assert len(pictures) == 4
    assert [none[name] for name in pictures] == [own[name] for name in pictures]
    assert not [name for name in none if name.endswith(".safetensors")]


def test_the_same_command_resumes_it(command: Command, asked: list[str], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, command(*asked).results["none"])
    (folder / "result.json").unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.glob("samples/*")}
    assert command(*asked, "--seed", "0").status == 0
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("samples/*")}
    assert len(command(*asked, "--seed", "0", "--seed", "1").results) == 1
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_its_board_holds_no_budget_to_be_measured_by(
    command: Command, asked: list[str], pipeline: Path, flags: list[str], tmp_path: Path
) -> None:
    command(*asked, "--method", "prompt-rt")
    command(*flags, "--backbone", str(pipeline))
    results = [run.result for run in collect([tmp_path / "runs"]).runs]
    assert {result.board[:3] for result in results} == {results[0].board[:3]}
    tables = {table.board.parts["budget rule"]: table for table in Leaderboard().tables([tmp_path / "runs"])}
    assert {rule: len(table.board.groups) for rule, table in tables.items()} == {"none": 2, "total": 1}
    row = next(row for row in tables["none"].rows if row.method == "prompt-rt")
    assert row.role == "method"
    assert tables["none"].comparisons[row.label][0].against == "none"
    for key in ("budget", "images", "seconds"):
        assert "fine-tuned elsewhere" in (row.values[key].reason or "")
    assert "on trust" in Leaderboard().text([tables["none"]], "md")


def test_a_run_that_shares_a_training_says_so_below_its_table(
    command: Command, flags: list[str], tmp_path: Path
) -> None:
    from rich.console import Console

    command(*flags, "--method", "prompt-rt")
    folders = sorted(path.parent for path in (tmp_path / "runs").glob("*/result.json"))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(Table().show(folders))
    none = next(folder.name for folder in folders if "none" in folder.name)
    assert f"prompt-rt: trained in {none}, whose seconds of training are counted" in captured.get()


def test_a_cost_is_known_or_says_why_not() -> None:
    known: dict[str, Any] = {
        "budget": 8,
        "budget_rule": "total",
        "images": 8,
        "images_per_stage": {},
        "parameters": 1,
        "trained_parameters": 1,
        "network_calls_per_image": 2.0,
    }
    unknown = dict.fromkeys(("budget", "images", "trained_parameters"))
    assert Cost(**known).reason is None
    assert Cost(**{**known, **unknown, "reason": "elsewhere"}).budget is None
    for wrong in (
        {"budget": None},
        unknown,
        {"reason": "elsewhere"},
        {"images": None, "reason": "elsewhere"},
    ):
        with pytest.raises(ValueError, match="a training is known"):
            Cost(**{**known, **wrong})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--method", "gn"), ("'gn' changes training", "kind sample")),
        (("--method", "wen+dual"), ("'dual' changes training",)),
        (("--budget", "tiny"), ("--budget contradicts --from", "is not trained")),
        (("--budget-rule", "per_stage"), ("--budget-rule contradicts",)),
        (("--backbone", "pocket"), ("--backbone contradicts",)),
        (("--set", "train.learning_rate=1"), ("--set train.learning_rate=1 contradicts",)),
        (("--set", "train.pixels=7"), ("the image side does not fit", "got 7")),
    ],
)
def test_what_a_pipeline_cannot_be_asked_is_one_line(
    more: tuple[str, ...], words: tuple[str, ...], command: Command, asked: list[str]
) -> None:
    refused(command(*asked, *more), *words)


def test_the_data_of_a_pipeline_must_be_named(command: Command, pipeline: Path, tmp_path: Path) -> None:
    found = command("--from", str(pipeline), "--method", "wen")
    refused(found, "nobody knows what a pipeline was trained on", "want --dataset")
    (tmp_path / "r.toml").write_text("[sample]\nsteps = 2\n", encoding="utf-8")
    refused(command("--from", str(pipeline), "--recipe", str(tmp_path / "r.toml")), "want --dataset")


@pytest.mark.parametrize(
    ("unet", "words"),
    [
        (["my_pipeline", "RoutedUNets"], ("no plain U-Net", "RoutedUNets", "that run's folder")),
        ("absent", ("no plain U-Net", "unet: null")),
        (None, ("index cannot be read",)),
    ],
)
def test_a_pipeline_with_another_network_is_one_line(
    unet: list[str] | str | None,
    words: tuple[str, ...],
    command: Command,
    pipeline: Path,
    images: Path,
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(pipeline, tmp_path / "copy")
    path = folder / "model_index.json"
    index = json.loads(path.read_text(encoding="utf-8"))
    index["unet"] = unet
    if unet == "absent":
        del index["unet"]
    path.write_text("{" if unet is None else json.dumps(index), encoding="utf-8")
    refused(command("--from", str(folder), "--dataset", str(images)), *words)


def test_a_pipeline_without_weights_is_one_line(
    command: Command, pipeline: Path, images: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(pipeline, tmp_path / "copy")
    shutil.rmtree(folder / "unet")
    refused(
        command("--from", str(folder), "--dataset", str(images)), "cannot be loaded as a Stable Diffusion"
    )


def test_in_a_process_of_its_own_no_other_line_stands_before_it(
    pipeline: Path, images: Path, tmp_path: Path
) -> None:
    """Libraries tell what they think of a folder, and of what is installed, when they are imported."""
    folder = shutil.copytree(pipeline, tmp_path / "copy")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    command = (sys.executable, "-m", "replication_bench.cli", "run", "--from", str(folder))
    done = subprocess.run(
        [*command, "--dataset", str(images), "--out", str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "no file named diffusion_pytorch_model.safetensors" in done.stderr
