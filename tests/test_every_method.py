"""Every installed method, and what the literature combines, end to end in one command on the embedded drawings."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from small_wordnet import write_wordnet

from replication_bench import cli, plugins

pytest.importorskip("faiss")
COMPOSED = ("loyal+gc+df", "loyal+wen", "loyal+ren", "augment+gn")
IMAGES, SAMPLES, STEPS = 16, 2, 2
SETTINGS = (
    f"train.budgets={{tiny = {IMAGES}}}",
    f"train.batch_size={IMAGES}",
    "train.pixels=32",
    f"sample.steps={STEPS}",
    "measure.embedder=pixels",  # needs no weights
    "measure.bootstrap=0",
    "measure.pairs=1",
    *(f"methods.{name}.iterations=2" for name in ("wen", "sail", "initnoise")),
    "methods.dp.delta=0.01",
    "methods.dedup.threshold=0.9",
)


@pytest.fixture(scope="module")
def results(slim: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The results of one command, by method."""
    names = [*plugins.available("methods"), *COMPOSED]
    out = tmp_path_factory.mktemp("every") / "runs"
    write_wordnet(out.parent / "dict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLBENCH_WORDNET", str(out.parent / "dict"))
        cli.main(
            [
                *("run", "--dataset", "openmoji", "--budget", "tiny", "--backbone", str(slim)),
                *("--samples", str(SAMPLES), "--out", str(out)),
                *(word for name in names for word in ("--method", name)),
                *(word for setting in SETTINGS for word in ("--set", setting)),
            ]
        )
    written = [json.loads(path.read_text(encoding="utf-8")) for path in out.glob("*/result.json")]
    assert all(len(list(folder.glob("samples/*.png"))) == SAMPLES for folder in out.iterdir())
    return {result["method"]["name"]: result for result in written}


def facts(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {measured["name"]: measured for measured in result["measurements"]}


def test_every_method_has_a_result_of_the_same_board(results: dict[str, dict[str, Any]]) -> None:
    assert set(results) == {*plugins.available("methods"), *COMPOSED}
    for result in results.values():
        assert result["cost"]["images"] == IMAGES
        assert math.isfinite(facts(result)["R"]["value"])
    for key in ("dataset", "backbone", "embedder", "protocol"):
        assert len({json.dumps(result[key]) for result in results.values()}) == 1


@pytest.mark.parametrize("name", COMPOSED)
def test_a_composition_is_recorded_with_the_parameters_of_its_parts(
    name: str, results: dict[str, dict[str, Any]]
) -> None:
    parts = results[name]["method"]["parameters"]
    assert list(parts) == name.split("+")
    assert all(parts[part] == results[part]["method"]["parameters"][part] for part in parts)


def test_a_composition_has_the_facts_of_all_its_parts(results: dict[str, dict[str, Any]]) -> None:
    whole = facts(results["loyal+gc+df"])
    assert whole["df_objects"] == facts(results["df"])["df_objects"]
    assert whole["generality"] == facts(results["gc"])["generality"]
    assert 0 <= whole["generality"]["value"] <= 10
    assert results["loyal+gc+df"]["cost"]["images_per_stage"] == {"front": IMAGES // 2, "tail": IMAGES // 2}


def test_methods_tell_what_only_they_know(results: dict[str, dict[str, Any]]) -> None:
    found = {name: facts(result) for name, result in results.items()}
    assert found["dedup"]["dedup_dropped"]["value"] > 0
    assert found["df"]["df_objects"]["value"] > 0
    assert 0 <= found["losscut"]["losscut_above"]["value"] <= 1
    assert math.isfinite(found["dp"]["epsilon"]["value"])
    assert found["mc"]["captions_per_image"]["value"] > 1


def test_what_only_samples_costs_what_its_network_calls_cost(results: dict[str, dict[str, Any]]) -> None:
    calls = {name: result["cost"]["network_calls_per_image"] for name, result in results.items()}
    plain = 2 * STEPS
    dearer = ("wen", "sail", "initnoise", "nemo", "loyal+wen")
    assert all(calls[name] > plain for name in dearer)
    assert calls["cfg-static"] < plain
    assert {calls[name] for name in calls if name not in (*dearer, "cfg-static")} == {plain}


def test_adapters_train_less_and_two_networks_more(results: dict[str, dict[str, Any]]) -> None:
    trained = {name: result["cost"]["trained_parameters"] for name, result in results.items()}
    assert trained["lora"] < trained["none"] == trained["gn"] < 2 * trained["none"] == trained["dual"]
    assert trained["loyal"] > trained["dual"]
