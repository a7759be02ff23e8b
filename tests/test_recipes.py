from __future__ import annotations

import json
from pathlib import Path

import pytest

from replication_bench.cli import main
from replication_bench.config import RunConfig
from replication_bench.recipe_files import read_recipe, recipe_names
from replication_bench.resolve import Request, resolve_runs

STABLE_DIFFUSION = ("sd21-laion10k", "sd15-laion10k", "laion-subset", "imagenette")


def configs(name: str, **more: object) -> dict[str, RunConfig]:
    found, _ = resolve_runs(Request(recipe=name, methods=("loyal", "dual"), **more))  # type: ignore[arg-type]
    return {config.method.name: config for config in found}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_resolves(name: str) -> None:
    found = configs(name)
    assert list(found) == ["none", "loyal", "dual"]
    assert found["none"].train.images > 0


@pytest.mark.parametrize("name", STABLE_DIFFUSION)
def test_the_published_setting(name: str) -> None:
    config = configs(name)["loyal"]
    train, loyal = config.train, config.method.options["loyal"]
    assert train.images == 100_000 * train.batch_size == 1_600_000
    assert train.warmup_images == 5_000 * train.batch_size
    assert (train.pixels, train.learning_rate, train.budget_rule) == (256, 5e-6, "per_stage")
    assert (loyal["tau"], loyal["skips"], loyal["block"]) == (500, ("SC3", "SC4"), "conv3x3")
    assert config.sample.steps == 50
    assert config.sample.guidance_scale == 7.5


def test_the_side_and_batch_that_the_repository_of_loyal_prints() -> None:
    printed, common = read_recipe("sd21-laion10k-512"), read_recipe("sd21-laion10k")
    config = configs("sd21-laion10k-512")["loyal"]
    assert (config.train.images, config.train.warmup_images, config.train.batch_size) == (100_000, 5_000, 1)
    assert (config.train.pixels, config.sample.scheduler, config.sample.steps) == (512, "dpm++", 50)
    for section, changed in (
        ("train", {"budgets", "pixels", "batch_size", "warmup_images", "checkpoint_images"}),
        ("sample", {"scheduler", "batch_size"}),
    ):
        unlike = {key for key in common[section] if printed[section][key] != common[section][key]}
        assert unlike == changed, section
        assert printed.pop(section).keys() == common.pop(section).keys()
    assert printed == common


@pytest.mark.parametrize("name", [*STABLE_DIFFUSION, "sd21-laion10k-512"])
def test_the_control_is_split_where_loyal_is(name: str) -> None:
    found = configs(name)
    assert found["dual"].method.options["dual"]["tau"] == found["loyal"].method.options["loyal"]["tau"]


def test_the_two_versions_differ_in_the_backbone_alone() -> None:
    new, old = read_recipe("sd21-laion10k"), read_recipe("sd15-laion10k")
    assert new.pop("backbone") != old.pop("backbone")
    assert new == old


def test_a_subset_of_laion_is_trained_in_the_published_setting() -> None:
    (config, *_), _ = resolve_runs(Request(dataset="laion-subset"))
    assert config.dataset.name == "laion-subset"
    assert config.train == configs("sd21-laion10k")["none"].train
    assert config.backbone == "stabilityai/stable-diffusion-2-1"


def test_smoke_goes_through_every_step_on_random_weights(tmp_path: Path) -> None:
    main(["run", "--recipe", "smoke", "--method", "loyal", "--out", str(tmp_path)])
    found = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("result.json")]
    results = {result["method"]["name"]: result for result in found}
    assert results.keys() == {"none", "loyal"}
    for result in results.values():
        assert result["cost"]["images"] == 8
        assert result["backbone"]["name"] == "random:sd21-mini"
    assert results["loyal"]["cost"]["images_per_stage"] == {"front": 4, "tail": 4}
    # the same U-Net twice, and five 3 x 3 convolutions with bias of its 128 channels
    added = results["loyal"]["cost"]["parameters"] - 2 * results["none"]["cost"]["parameters"]
    assert added == 5 * (128 * 128 * 9 + 128)
