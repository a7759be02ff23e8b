"""Duplication plans: which images, how often, with which captions; and what a run makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn import noise
from made import unit

from replication_bench.config import DuplicationConfig, NamedOptions, RunConfig
from replication_bench.data import Example, Examples, Splits
from replication_bench.data.duplication import duplicated
from replication_bench.errors import DataError
from replication_bench.evidence import count_alike

Command = Callable[..., tuple[int, str, str]]


def splits(count: int = 60, captions: int = 1) -> Splits:
    items = [
        Example(f"{i}", tuple(f"caption {i}.{c}" for c in range(captions)), lambda: noise(0), f"{i:064x}")
        for i in range(count)
    ]
    return Splits(Examples(tuple(items)), Examples(()), note="made.")


def plan(name: str = "dup_both", **options: object) -> DuplicationConfig:
    return DuplicationConfig(plan=name, **options)


def test_five_per_cent_stand_five_times_and_the_set_that_is_searched_is_the_same() -> None:
    before, after = splits(), duplicated(splits(), plan())
    assert after.train.ids == before.train.ids
    assert sorted(e.repeats for e in after.train) == [1] * 57 + [5] * 3
    training = after.train.repeated()
    assert len(training) == 57 + 3 * 5
    for example in after.train:
        found = [e for e in training if e.id == example.id]
        assert len(found) == example.repeats
        assert {e.captions for e in found} == {example.captions}
        assert not any(e.copies for e in found)
    assert after.note == "made. dup_both: 3 of 60 training images are held 5 times."
    assert duplicated(before, plan("nodup")) is before
    assert before.train.repeated() is before.train


def test_the_choice_belongs_to_the_seed_and_the_ids() -> None:
    def chosen(data: Splits, **options: object) -> set[str]:
        return {e.id for e in duplicated(data, plan(**options)).train if e.copies}

    assert chosen(splits()) == chosen(splits(captions=2)) != chosen(splits(), seed=1)
    mixed = Splits(Examples(tuple(reversed(splits().train.items))), Examples(()))
    assert chosen(mixed) == chosen(splits())
    assert len(chosen(splits(), share=0.5)) == 30
    assert chosen(splits(8)) <= {f"{i}" for i in range(8)}
    assert len(chosen(splits(8))) == 1


def test_a_plan_is_part_of_both_fingerprints() -> None:
    data = splits(captions=2)
    prints = {
        duplicated(data, one).fingerprint
        for one in (plan("nodup"), plan(), plan("dup_image"), plan(times=4), plan(seed=1), plan(share=0.1))
    }
    assert len(prints) == 6
    config = RunConfig(dataset=NamedOptions(name="openmoji"))
    assert (
        config.fingerprint()
        == config.model_copy(update={"duplication": plan("nodup", times=9)}).fingerprint()
    )
    assert config.fingerprint() != config.model_copy(update={"duplication": plan()}).fingerprint()


def test_copies_of_dup_image_begin_with_the_other_captions_in_turn() -> None:
    data = duplicated(splits(captions=3), plan("dup_image", times=5))
    example = next(e for e in data.train if e.copies)
    first = [e.captions[0].rpartition(".")[2] for e in data.train.repeated() if e.id == example.id]
    assert first == ["0", "1", "2", "0", "1"]
    assert {tuple(sorted(captions)) for captions in example.copies} == {tuple(sorted(example.captions))}


def test_dup_image_without_second_captions_is_one_line() -> None:
    with pytest.raises(
        DataError, match=r"no duplicated image has a second one.*got 3 images.*Choose dup_both"
    ):
        duplicated(splits(), plan("dup_image"))


def test_repeats_count_as_near_duplicates() -> None:
    rows = unit(np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32))
    assert count_alike(rows).tolist() == [2, 2, 1, 1]
    assert count_alike(rows, repeats=[5, 1, 1, 3]).tolist() == [6, 6, 1, 3]


def test_a_run_trains_on_the_copies_and_its_metrics_know_them(
    pictures: Path, tiny: Path, tmp_path: Path, replbench: Command
) -> None:
    pytest.importorskip("faiss")
    settings = ("sample.steps=1", "measure.bootstrap=0", "measure.embedder=pixels", "duplication.share=0.2")
    words = [
        *(
            "--dataset",
            pictures,
            "--backbone",
            tiny,
            "--budget",
            16,
            "--samples",
            2,
            "--out",
            tmp_path / "runs",
        ),
        *("--json", *(word for setting in settings for word in ("--set", setting))),
    ]
    found = {}
    for name in ("nodup", "dup_both"):
        status, out, err = replbench("run", *words, "--duplication", name, "--method", "dedup")
        assert status == 0, err
        for result in json.loads(out):
            facts = {m["name"]: m["value"] for m in result["measurements"]}
            found[name, result["method"]["name"]] = (result, facts)
    plain, repeated = found["nodup", "none"], found["dup_both", "none"]
    assert (plain[1]["train_repeated"], repeated[1]["train_repeated"]) == (0, pytest.approx(0.2))
    assert plain[1]["bg_95pc"] == repeated[1]["bg_95pc"]
    assert plain[0]["dataset"]["fingerprint"] != repeated[0]["dataset"]["fingerprint"]
    assert plain[0]["dataset"]["train"] == repeated[0]["dataset"]["train"] == 10
    assert "2 of 10 training images are held 5 times" in repeated[0]["dataset"]["note"]
    assert repeated[0]["config"]["duplication"]["plan"] == "dup_both"
    # the mitigation sees what was duplicated: two images, four further copies each
    assert (found["nodup", "dedup"][1]["dedup_dropped"], found["dup_both", "dedup"][1]["dedup_dropped"]) == (
        0,
        8,
    )
    status, _, err = replbench("run", *words, "--duplication", "dup_all")
    assert (status, "duplication.plan: input should be 'nodup', 'dup_both' or 'dup_image'" in err) == (
        2,
        True,
    )


def test_a_model_trained_on_copies_is_sampled_again_beside_the_same_data(
    pictures: Path, tiny: Path, tmp_path: Path, replbench: Command
) -> None:
    pytest.importorskip("faiss")
    settings = ("sample.steps=1", "measure.bootstrap=0", "measure.embedder=pixels")
    words = [
        *("--samples", 2, "--out", tmp_path / "runs", "--json"),
        *(word for setting in settings for word in ("--set", setting)),
    ]
    trained = ("--dataset", pictures, "--backbone", tiny, "--budget", 16, "--duplication", "dup_both")
    status, out, err = replbench("run", *trained, *words)
    assert status == 0, err
    first = json.loads(out)[0]
    status, out, err = replbench("run", "--from", tmp_path / "runs" / first["id"], *words, "--samples", 3)
    assert status == 0, err
    again = json.loads(out)[0]
    assert again["dataset"]["fingerprint"] == first["dataset"]["fingerprint"]
    assert again["config"]["duplication"] == first["config"]["duplication"]
    status, _, err = replbench(
        "run", "--from", tmp_path / "runs" / first["id"], *words, "--duplication", "nodup"
    )
    assert (status, "the dataset is not the one that the model of --from was trained on" in err) == (2, True)
