"""``--from`` a run: its weights are sampled without training; what contradicts its training is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from trained_case import Command, files, folder_of, refused, same

from replication_bench.config import NamedOptions
from replication_bench.trained.opening import open_parent


def test_a_method_that_samples_runs_on_the_weights_of_a_run(
    command: Command, flags: list[str], parent: Path, steps: list[str], tmp_path: Path
) -> None:
    found = command("--from", str(parent), "--method", "wen", out="other")
    assert found.status == 0, found.err
    assert steps == []
    none, wen = found.results["none"], found.results["wen"]
    assert wen["cost"]["trained_in"] == parent.name
    assert none["cost"]["trained_in"] is None  # the same run in another folder
    assert wen["cost"]["budget"] == 8
    trained = json.loads((parent / "result.json").read_text(encoding="utf-8"))
    assert same(none, trained)
    unshared = command(*flags, "--method", "wen", out="alone").results
    assert same(unshared["wen"], wen)
    assert files(folder_of(tmp_path, wen, "alone")) == files(folder_of(tmp_path, wen, "other"))


def test_methods_go_onto_what_was_trained(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path
) -> None:
    chosen = ("--method", "loyal+prompt-rt", "--set", "methods.loyal.tau=300")
    run = command(*flags, *chosen).results["loyal+prompt-rt"]
    steps.clear()
    folder = folder_of(tmp_path, run)
    names = [word for name in ("wen", "none", "loyal+ren") for word in ("--method", name)]
    found = command("--from", str(folder), *names, "--samples", "2", out="other")
    assert found.status == 0, found.err
    assert steps == []
    assert list(found.results) == ["loyal", "loyal+wen", "loyal+ren"]
    assert {result["config"]["method"]["options"]["loyal"]["tau"] for result in found.results.values()} == {
        300
    }
    shutil.rmtree(folder)
    assert files(folder_of(tmp_path, found.results["loyal+wen"], "other"))["train/tail/final.safetensors"]


def test_without_a_method_the_run_is_sampled_as_asked(
    command: Command, parent: Path, steps: list[str]
) -> None:
    found = command("--from", str(parent), "--samples", "2", "--set", "sample.steps=3", plain=True)
    assert found.status == 0, found.err
    assert (list(found.results), steps) == (["none"], [])
    assert (
        found.results["none"]["config"]["sample"] | {"samples": 2, "steps": 3}
        == (found.results["none"]["config"]["sample"])
    )


def test_what_agrees_with_the_training_may_be_said(
    command: Command, flags: list[str], parent: Path, steps: list[str], tmp_path: Path, images: Path
) -> None:
    moved = shutil.copytree(images, tmp_path / "moved")
    (tmp_path / "agrees.toml").write_text("[train]\nbudget = 8\n[sample]\nsteps = 3\n", encoding="utf-8")
    agreeing = ("--dataset", str(moved), "--seed", "0", "--recipe", str(tmp_path / "agrees.toml"))
    found = command(*flags, *agreeing, "--from", str(parent), "--method", "prompt-rt", plain=True)
    assert found.status == 0, found.err
    assert steps == []
    assert found.results["prompt-rt"]["config"]["sample"]["steps"] == 3


def test_a_dataset_that_lies_elsewhere_keeps_its_other_options(parent: Path) -> None:
    run = open_parent(parent)
    options = {"path": "here", "heldout": 0.5}
    moved = replace(
        run, config=run.config.model_copy(update={"dataset": NamedOptions(name="folder", options=options)})
    )
    found = moved.located({"name": "folder", "options": {"path": "there"}})
    assert found == {"name": "folder", "options": {"path": "there", "heldout": 0.5}}
    assert moved.located({"name": "stamps"}) == {"name": "stamps"}


def test_a_run_of_an_older_version_left_no_record(
    command: Command, flags: list[str], parent: Path, steps: list[str], tmp_path: Path
) -> None:
    older = shutil.copytree(parent, tmp_path / "older")
    (older / "train" / "training.json").unlink()
    found = command("--from", str(older), "--method", "prompt-rt", out="other", plain=True)
    assert found.status == 0, found.err
    assert steps == []
    assert found.results["prompt-rt"]["cost"]["trained_in"] == parent.name
    # nobody knows all that these weights depend on, so no other run takes them for its own
    command(*flags, "--method", "ren", out="other")
    assert steps == ["all", "all"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--method", "gn"), ("'gn' changes training", "--method gn", "Leave --from out")),
        (("--method", "wen+loyal"), ("'loyal' changes training",)),
        (("--method", "wne"), ("unknown method 'wne'",)),
        (("--seed", "1"), ("seed contradicts", "got 1", "want 0")),
        (("--set", "seed=3"), ("seed contradicts",)),
        (("--budget", "9"), ("train.budget contradicts", "got 9", "want 8")),
        (("--budget-rule", "per_stage"), ("train.budget_rule contradicts", "got per_stage")),
        (("--set", "train.learning_rate=1"), ("train.learning_rate contradicts", "got 1.0")),
        (("--dataset", "stamps"), ("the dataset is not the one", "want")),
        (("--backbone", "pocket"), ("the backbone is not the one",)),
        (("--method", "prompt-rt", "--set", "methods.prompt-rt.nosuch=1"), ("no parameter 'nosuch'",)),
    ],
)
def test_what_contradicts_the_training_is_one_line(
    more: tuple[str, ...],
    words: tuple[str, ...],
    command: Command,
    parent: Path,
    steps: list[str],
    tmp_path: Path,
) -> None:
    refused(command("--from", str(parent), *more, out="other", plain=True), *words)
    assert steps == []
    assert not list(tmp_path.glob("other/*"))


def test_options_of_the_trained_method_cannot_change(
    command: Command, flags: list[str], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, command(*flags, "--method", "dual").results["dual"])
    changed = ("--from", str(folder), "--set", "methods.dual.tau=300")
    refused(command(*changed, plain=True), "methods.dual.tau contradicts", "got 300", "want 500")


def test_other_weights_than_a_backbone_s_are_told_from_them(
    command: Command, parent: Path, small: Path, tmp_path: Path
) -> None:
    from replication_bench.testing import tiny_backbone

    other = tiny_backbone(tmp_path / "backbone", levels=4, channels=8, seed=1)
    refused(
        command("--from", str(parent), "--backbone", str(other), plain=True), "the backbone is not the one"
    )


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("nowhere", ("--from takes a folder", "nothing there")),
        ("file", ("--from takes a folder", "a file")),
        ("empty", ("neither a run nor a pipeline", "an empty folder", "model_index.json", "save_pretrained")),
        ("runs", ("neither a run nor a pipeline", "Name one of the folders in it", "runs/folder-none")),
        ("network", ("not that of a run", "whole diffusers pipeline")),
        ("text", ("not that of a run",)),
        ("begun", ("not trained to its end", "no final weights", "Run its own command again")),
        ("half", ("not trained to its end", "final weights of front alone")),
        ("tuned", ("trained nothing", "--from there/it/was")),
        ("lost", ("weights of --from are missing", "final.safetensors")),
        ("cut", ("weights of --from are damaged", "final.safetensors")),
    ],
)
def test_folders_that_cannot_be_sampled_are_one_line(
    broken: str, words: tuple[str, ...], command: Command, parent: Path, small: Path, tmp_path: Path
) -> None:
    folder = tmp_path / broken
    if broken == "runs":
        folder = parent.parent
    elif broken == "file":
        folder.write_text("")
    elif broken != "nowhere":
        folder.mkdir()
        BREAK[broken](folder, parent, small)
    refused(command("--from", str(folder), "--method", "prompt-rt", out="other", plain=True), *words)


def unfinished(folder: Path, parent: Path, stages: tuple[str, ...]) -> None:
    shutil.copy(parent / "config.json", folder)
    for stage in stages:
        (folder / "train" / stage).mkdir(parents=True)
        shutil.copy(parent / "train" / "all" / "final.safetensors", folder / "train" / stage)


def tuned(folder: Path, parent: Path, small: Path) -> None:
    config = json.loads((parent / "config.json").read_text(encoding="utf-8"))
    config |= {"tuned": True, "train": {"pixels": None}, "backbone": "there/it/was"}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def damaged(folder: Path, parent: Path, keep: int) -> None:
    shutil.copytree(parent, folder, dirs_exist_ok=True)
    weights = folder / "train" / "all" / "final.safetensors"
    data = weights.read_bytes()[:keep]
    weights.unlink()
    if keep:
        weights.write_bytes(data)


BREAK = {
    "empty": lambda folder, parent, small: None,
    "network": lambda folder, parent, small: shutil.copy(small / "unet" / "config.json", folder),
    "text": lambda folder, parent, small: (folder / "config.json").write_text("no JSON", encoding="utf-8"),
    "begun": lambda folder, parent, small: unfinished(folder, parent, ()),
    "half": lambda folder, parent, small: unfinished(folder, parent, ("front",)),
    "tuned": tuned,
    "lost": lambda folder, parent, small: damaged(folder, parent, 0),
    "cut": lambda folder, parent, small: damaged(folder, parent, 1000),
}
