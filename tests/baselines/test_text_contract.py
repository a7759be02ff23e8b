"""Every method of the text family stands behind its door, keeps the contract, and says where it is from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replication_bench import plugins
from replication_bench.backbone import Backbone
from replication_bench.method import HOOKS as CONTRACT
from replication_bench.method import Method
from replication_bench.testing import check_method, load_backbone, method_checks
from replication_bench.testing.case import Case

HOOKS = {
    "mc": ["dataset", "caption", "facts"],
    "gc": ["dataset", "facts"],
    "gn": ["encode"],
    "fpan": ["encode"],
    "mixup": ["encode"],
    "rc": ["caption"],
    "cwr": ["caption"],
    "rwa": ["caption"],
    "rna": ["caption"],
    "prompt-rt": ["prompt"],
    "prompt-cwr": ["prompt"],
    "prompt-rna": ["prompt"],
    "gni": ["condition"],
}
SAMPLE = ("prompt-rt", "prompt-cwr", "prompt-rna", "gni")
# what these look at, the networks and their training, is inherited by every method here
INHERITED = (
    "check_loss",
    "check_rebuild_and_strict_load",
    "check_mixed_timesteps",
    "check_two_training_steps",
)
# runs every hook, and so builds networks; one method for each kind of hook, the others with the slow tests
COSTLY, KINDS = "check_hooks_leave_inputs_unchanged", ("gc", "rwa", "mixup", "gni", "prompt-rt")


@pytest.fixture(scope="module")
def backbone(tiny: Path) -> Backbone:
    return load_backbone(tiny)


def method(name: str, backbone: Backbone, folder: Path) -> Method:
    kind = plugins.load("methods", name)
    if name != "gc":
        return kind()
    path = folder / "general.jsonl"
    lines = (json.dumps({"id": id, "caption": "a thing"}) for id in Case(Method(), backbone).examples.ids)
    path.write_text("\n".join(lines), encoding="utf-8")
    return kind(captions=str(path))


@pytest.mark.parametrize("name", HOOKS)
def test_a_method_says_what_it_is_and_where_it_is_from(name: str) -> None:
    kind = plugins.load("methods", name)
    assert kind.kind == ("sample" if name in SAMPLE else "train")
    assert kind.summary != Method.summary
    assert kind.paper
    assert [hook for hook in CONTRACT if kind().overrides(hook)] == HOOKS[name]


@pytest.mark.parametrize("name", HOOKS)
def test_a_method_keeps_the_contract_of_its_hooks(name: str, backbone: Backbone, tmp_path: Path) -> None:
    case = Case(method(name, backbone, tmp_path), backbone)
    for check in method_checks():
        if check.__name__ not in INHERITED and (check.__name__ != COSTLY or name in KINDS):
            check(case)


@pytest.mark.slow
@pytest.mark.parametrize("name", HOOKS)
def test_a_method_keeps_the_whole_contract(name: str, tiny: Path, backbone: Backbone, tmp_path: Path) -> None:
    check_method(method(name, backbone, tmp_path), tiny)


def test_the_checks_that_are_left_out_exist() -> None:
    assert {*INHERITED, COSTLY} < {check.__name__ for check in method_checks()}
