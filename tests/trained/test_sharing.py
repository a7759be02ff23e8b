"""Runs whose training is equal train once, and nothing else about them changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trained_case import Command, files, refused, same

from replication_bench import cli
from replication_bench.acceleration import settled
from replication_bench.config import MeasureConfig, NamedOptions, RunConfig, SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.resolve import build_method
from replication_bench.store import link
from replication_bench.testing.case import example
from replication_bench.trained.facts import named_files, trained_part, training_facts
from replication_bench.trained.opening import training_of_result
from replication_bench.trained.record import read_training

METHODS = ("wen", "ren", "cfg-static", "prompt-rt")


@pytest.mark.parametrize(
    ("name", "trained"),
    [
        ("none", "none"),
        ("wen", "none"),
        ("wen+ren", "none"),
        ("none+wen", "none"),
        ("loyal+wen", "loyal"),
        ("ren+loyal+prompt-rt+gn", "loyal+gn"),
        ("dedup", "dedup"),
    ],
)
def test_what_is_trained_of_a_method(name: str, trained: str) -> None:
    options = {"loyal": {"tau": 300}, "wen": {"iterations": 3}}
    found = trained_part(build_method(name, options)[1])
    assert found == build_method(trained, options)[1]


def test_methods_that_only_sample_train_once(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path
) -> None:
    chosen = [word for name in METHODS for word in ("--method", name)]
    status, results, err = command(*flags, *chosen)
    assert status == 0, err
    assert steps == ["all", "all"]
    none = results["none"]
    assert none["cost"]["trained_in"] is None
    for name in METHODS:
        cost = results[name]["cost"]
        assert cost["trained_in"] == none["id"]
        assert cost["seconds"]["train"] == none["cost"]["seconds"]["train"]
        assert (cost["budget"], cost["images"]) == (8, 8)
        assert cost["trained_parameters"] == none["cost"]["trained_parameters"]


@pytest.mark.parametrize("name", ["wen", "loyal+wen", "dedup+prompt-rt"])
def test_a_shared_training_gives_the_same_to_the_bit(
    name: str,
    command: Command,
    flags: list[str],
    steps: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = trained_part(NamedOptions(name=name, options={part: {} for part in name.split("+")})).name
    shared = command(*flags, "--method", trained, "--method", name, out="shared").results
    count = len(steps)
    with monkeypatch.context() as patch:
        patch.setattr("replication_bench.pipeline.share", lambda *arguments: None)
        alone = command(*flags, "--method", trained, "--method", name, out="alone").results
    assert len(steps) - count > count  # without sharing every run trains
    assert (shared[name]["cost"]["trained_in"], alone[name]["cost"]["trained_in"]) == (
        shared[trained]["id"],
        None,
    )
    assert same(shared[name], alone[name])
    folders = [files(tmp_path / out / shared[name]["id"]) for out in ("shared", "alone")]
    assert len(folders[0]) > 5
    assert folders[0] == folders[1]


def test_a_shared_training_outlives_the_run_that_did_it(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path
) -> None:
    none = command(*flags).results["none"]
    wen = command(*flags, "--method", "wen").results["wen"]
    shutil.rmtree(tmp_path / "runs" / none["id"])
    folder = tmp_path / "runs" / wen["id"]
    assert files(folder)["train/all/final.safetensors"]
    (folder / "result.json").unlink()
    again = command(*flags, "--method", "wen").results
    assert len(steps) == 2  # the run that was removed has its weights back from the other
    assert again["wen"]["cost"]["trained_in"] == none["id"]
    assert again["none"]["cost"]["trained_in"] is None
    assert same(again["none"], none)


def test_a_launch_is_held_against_the_recipe_only_where_something_is_trained(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [*flags, "--set", "train.precision=fp32"]
    none = command(*flags).results["none"]
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    made = len(steps)
    for words in (
        (*flags,),  # finished
        (*flags, "--method", "wen"),  # takes the weights of the first
        ("--from", str(tmp_path / "runs" / none["id"]), "--method", "prompt-rt"),
    ):
        found = command(*words)
        assert found.status == 0, found.err
    assert len(steps) == made
    refused(command(*flags, "--seed", "1"), "in --mixed_precision; got bf16; want no")


def test_another_training_is_not_shared(command: Command, flags: list[str], steps: list[str]) -> None:
    command(*flags)
    assert command(*flags, "--seed", "1").results["none"]["cost"]["trained_in"] is None
    assert len(steps) == 4


def made_run(
    name: str = "none",
    dataset: str = "d",
    backbone: str = "b",
    protocol: str = "p",
    precision: str = "no",
    public: int = 0,
    **config: Any,
) -> Any:
    """What the facts of a training are taken from."""
    options = config.pop("options", {})
    method = build_method(name, {name.split("+")[0]: options})[1]
    return SimpleNamespace(
        config=RunConfig(dataset=NamedOptions(name="openmoji"), method=method, **config),
        bench=SimpleNamespace(
            splits=SimpleNamespace(fingerprint=dataset, public=Examples(tuple(map(example, range(public))))),
            backbone=SimpleNamespace(sha256=backbone),
            embedder=SimpleNamespace(protocol=SimpleNamespace(hash=protocol)),
            device="cpu",
        ),
        precision=precision,
    )


def facts(data: int = 3, **of_run: Any) -> dict[str, Any]:
    return training_facts(made_run(**of_run), Examples(tuple(example(index) for index in range(data))))


@pytest.mark.parametrize(
    "same",
    [
        {"name": "wen"},
        {"name": "none+ren+wen"},
        {"sample": SampleConfig(steps=7, samples=3)},
        {"measure": MeasureConfig(bootstrap=3, pairs=1)},
        {"train": TrainConfig(checkpoint_images=7, budgets={"demo": 10_000, "other": 9})},
        {"train": TrainConfig(budget=10_000)},
    ],
)
def test_what_cannot_change_weights_is_no_fact(same: dict[str, Any]) -> None:
    assert facts(**same) == facts()


def test_auto_and_what_it_means_here_are_one_training(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path
) -> None:
    meant = settled(TrainConfig(), "cpu")
    assert "auto" not in (meant.precision, meant.fused, meant.channels_last)
    keys = ("precision", "fused", "channels_last")
    told = [f"train.{key}={str(getattr(meant, key)).lower()}" for key in keys]
    said = [word for setting in told for word in ("--set", setting)]
    auto = command(*flags).results["none"]
    made = len(steps)
    shared = command(*flags, *said).results["none"]
    assert (shared["cost"]["trained_in"], len(steps)) == (auto["id"], made)
    command(*flags, *said, out="alone")
    assert len(steps) == 2 * made
    weights = "train/all/final.safetensors"
    assert files(tmp_path / "runs" / auto["id"])[weights] == files(tmp_path / "alone" / shared["id"])[weights]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "gn"},
        {"name": "gn+wen"},
        {"name": "gn", "options": {"std": 0.3}},
        {"dataset": "e"},
        {"data": 4},
        {"public": 2},
        {"backbone": "c"},
        {"protocol": "q"},
        {"seed": 1},
        {"precision": "bf16"},
        {"train": TrainConfig(budget=9)},
        {"train": TrainConfig(learning_rate=1e-3)},
        {"train": TrainConfig(fused=False)},
        {"train": TrainConfig(channels_last=False)},
    ],
)
def test_what_can_change_weights_is_a_fact(other: dict[str, Any]) -> None:
    plain = facts(name="gn") if other.get("options") else facts()
    assert facts(**other) != plain


def test_what_lies_in_files_that_options_name_is_a_fact(tmp_path: Path) -> None:
    (tmp_path / "objects" / "below").mkdir(parents=True)
    words = tmp_path / "words.txt"
    words.write_text("one", encoding="utf-8")
    options = {
        "df": {"objects": str(tmp_path / "objects"), "words": str(words), "fusion": "no_add", "file": ""}
    }
    first = named_files(options)
    assert set(first) == {"df.objects", "df.words"}
    assert named_files(options) == first
    words.write_text("other", encoding="utf-8")
    (tmp_path / "objects" / "below" / "0.png").write_bytes(b"new")
    second = named_files(options)
    assert all(first[key] != second[key] for key in first)


@pytest.mark.parametrize("broken", ["{", "{}", '{"run": "x", "seconds": 1, "facts": {}}', "\xff"])
def test_a_damaged_record_is_none(broken: str, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(broken, encoding="latin-1")
    assert read_training(tmp_path / "training.json") is None


def test_results_tell_on_how_many_processes_the_shared_training_ran(
    command: Command, flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = command(*flags).results["none"]
    assert none["cost"]["training_processes"] == 1
    path = tmp_path / "runs" / none["id"] / "train" / "training.json"
    record = json.loads(path.read_text("utf-8"))
    assert record["processes"] == 1
    path.write_text(json.dumps({**record, "processes": 4}), encoding="utf-8")
    wen = command(*flags, "--method", "wen").results["wen"]
    assert (wen["cost"]["training_processes"], wen["processes"]) == (4, 1)
    cli.main(["leaderboard", str(tmp_path / "runs"), "--format", "md"])
    note = f"trained in {none['id']}, whose seconds of training are counted, on 4 processes."
    assert note in capsys.readouterr().out
    folder = tmp_path / "runs" / wen["id"]  # without a record, as the first versions left it
    found = training_of_result(folder)
    assert found is not None
    assert (found.run, found.processes) == (none["id"], 4)


def test_a_record_of_an_older_version_is_read(tmp_path: Path) -> None:
    older = {"run": "x", "seconds": 1.0, "facts": facts()}
    (tmp_path / "training.json").write_text(json.dumps(older), encoding="utf-8")
    found = read_training(tmp_path / "training.json")
    assert found is not None
    assert (found.run, found.processes) == ("x", None)


def test_weights_without_a_stage_are_not_taken(
    command: Command, flags: list[str], steps: list[str], tmp_path: Path
) -> None:
    loyal = command(*flags, "--method", "loyal").results["loyal"]
    (tmp_path / "runs" / loyal["id"] / "train" / "tail" / "final.safetensors").unlink()
    before = len(steps)
    wen = command(*flags, "--method", "loyal+wen").results["loyal+wen"]
    assert steps[before:] == ["front", "tail"]
    assert wen["cost"]["trained_in"] is None


def test_a_record_names_all_that_the_weights_depend_on(
    command: Command, flags: list[str], tmp_path: Path
) -> None:
    none = command(*flags).results["none"]
    record = json.loads((tmp_path / "runs" / none["id"] / "train" / "training.json").read_text("utf-8"))
    assert record["run"] == none["id"]
    assert record["facts"]["dataset"]["fingerprint"] == none["dataset"]["fingerprint"]
    assert record["facts"]["train"]["budget"] == 8
    assert "budgets" not in record["facts"]["train"]


def test_a_link_replaces_what_is_there_and_holds_the_bytes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "source", tmp_path / "below" / "target"
    source.write_bytes(b"weights")
    link(source, target)
    assert target.stat().st_ino == source.stat().st_ino
    link(target, target)

    def no_links(*arguments: object) -> None:
        raise OSError("the disk knows no hard links")

    monkeypatch.setattr("os.link", no_links)
    link(source, target)
    assert target.stat().st_ino != source.stat().st_ino
    source.unlink()
    assert target.read_bytes() == b"weights"
    with pytest.raises(FileNotFoundError):
        link(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]
