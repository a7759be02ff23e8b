from __future__ import annotations

from pathlib import Path

import pytest

from replication_bench.config import apply_setting, validate
from replication_bench.errors import ConfigError, PluginError
from replication_bench.recipe_files import read_recipe, recipe_names
from replication_bench.resolve import Request, resolve_runs
from replication_bench.sweep import swept


def test_settings_are_toml_values() -> None:
    table: dict = {}
    for setting in ("a.b=3", "a.c=text", "d=[1, 2]", "e=true"):
        apply_setting(table, setting)
    assert table == {"a": {"b": 3, "c": "text"}, "d": [1, 2], "e": True}
    with pytest.raises(ConfigError, match="below a plain value"):
        apply_setting(table, "e.f=1")
    with pytest.raises(ConfigError, match="key=value"):
        apply_setting(table, "nothing")


def test_every_shipped_recipe_is_valid() -> None:
    assert recipe_names()
    for name in recipe_names():
        validate(read_recipe(name), name)


def test_stamps_are_measured_with_the_numbers_chosen_on_openmoji() -> None:
    drawings, stamps = read_recipe("openmoji"), read_recipe("stamps")
    assert drawings.pop("dataset")["name"] != stamps.pop("dataset")["name"]
    assert stamps == drawings


def test_an_unknown_key_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'sample\.step'.*Did you mean 'steps'"):
        validate({"sample": {"step": 3}}, "test")


def test_a_seed_is_no_negative_number() -> None:
    with pytest.raises(ConfigError, match="seed"):
        validate({"seed": -1}, "test")


def test_options_of_a_method_that_does_not_run_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="taw"):
        resolve_runs(Request(methods=("none",), settings=("methods.loyal.taw=1",)))


@pytest.mark.parametrize("name", ["gn+gn", "rc+caption-randomization"])
def test_a_part_stands_once_in_a_composition(name: str) -> None:
    with pytest.raises(PluginError, match=r"stands twice.*each part once"):
        resolve_runs(Request(methods=(name,)))


def test_the_reference_comes_first_and_once() -> None:
    configs, reference = resolve_runs(Request(methods=("loyal", "none"), seeds=(0, 1)))
    assert reference == "none"
    assert [(c.method.name, c.seed) for c in configs] == [
        ("none", 0),
        ("loyal", 0),
        ("none", 1),
        ("loyal", 1),
    ]


def test_the_fingerprint_names_what_can_change_a_result_and_nothing_else() -> None:
    def of(*settings: str, **facts: str) -> str:
        return resolve_runs(Request(settings=settings))[0][0].fingerprint(**facts)

    same = of(), of("train.budgets.other=7"), of("train.checkpoint_images=10")
    assert len(set(same)) == 1
    changed = (
        of("train.learning_rate=1e-3"),
        of("sample.steps=7"),
        of("seed=1"),
        of(data="x"),
        of("train.budget=77"),
    )
    assert len({*changed, same[0]}) == 6


def test_a_recipe_lies_over_its_base_table_by_table(tmp_path: Path) -> None:
    (tmp_path / "low.toml").write_text(
        "[train]\nbatch_size = 4\nflip = 0.5\n[sample]\nsteps = 3\n", encoding="utf-8"
    )
    high = tmp_path / "high.toml"
    high.write_text(f'base = "{tmp_path}/low.toml"\n[train]\nbatch_size = 8\n', encoding="utf-8")
    assert read_recipe(str(high)) == {"train": {"batch_size": 8, "flip": 0.5}, "sample": {"steps": 3}}


def test_recipes_that_stand_on_each_other_are_one_line(tmp_path: Path) -> None:
    for name, base in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.toml").write_text(f'base = "{tmp_path}/{base}.toml"\n', encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"recipes stand on each other; got .*a.toml on .*b.toml on .*a.toml"
    ):
        read_recipe(str(tmp_path / "a.toml"))


def test_an_unknown_base_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('base = "openmojy"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"unknown recipe 'openmojy'\. Did you mean 'openmoji'"):
        read_recipe(str(tmp_path / "a.toml"))


@pytest.mark.parametrize("key", ["train.precision", "train.pixels", "measure.bootstrap"])
def test_what_the_runs_of_a_command_share_cannot_be_swept(key: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot be swept; in --sweep; got {key}"):
        swept(Request(methods=("none",), sweeps=(f"{key}=1,2",)))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("train.budgets.tiny=-5", "train.budgets.tiny: input should be greater than 0.*got -5"),
        ("train.budgets.tiny=0", "train.budgets.tiny: input should be greater than 0.*got 0"),
        ("train.learning_rate=inf", "train.learning_rate: input should be a finite number.*got inf"),
        ("sample.guidance_scale=nan", "sample.guidance_scale: input should be a finite number"),
        ("train.budget='--5'", "unknown budget '--5'"),
        ("train.budget='\u00b2'", "unknown budget"),
        ("dataset.options.size=64.0", "no such openmoji split; in size; got 64.0"),
        (
            "dataset.options.duplicates=skin-tones",
            "the 64 drawings have no skin-tone variants; in duplicates",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_one_line(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_runs(Request(settings=(setting,)))
    assert "\n" not in str(caught.value)


def test_a_path_that_toml_reads_as_a_number_is_one_line() -> None:
    request = Request(dataset="folder", settings=("dataset.options.path=2024",))
    with pytest.raises(ConfigError, match="not a path; in path; got 2024; want a text"):
        resolve_runs(request)
