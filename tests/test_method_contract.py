"""Every installed method keeps the contract, with its defaults and with the options that make another method of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replication_bench import plugins
from replication_bench.backbone import Backbone
from replication_bench.resolve import build_method
from replication_bench.testing import Case, load_backbone, method_checks
from replication_bench.testing.case import ROWS, example

# what shortens a method that repeats something many times, and leaves what it does
SHORT: dict[str, dict[str, Any]] = {
    "wen": {"iterations": 2},
    "sail": {"iterations": 2},
    "initnoise": {"iterations": 2},
    "nemo": {"seeds": 2, "theta_step": 2},
}
FROZEN = {"trainable": False}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "loyal, single network": ("loyal", {"split": False}),
    "loyal, front, dirac": ("loyal", {"side": "front", "init": "dirac"}),
    "loyal, all skips": ("loyal", {"skips": "conv_in, SC1, SC2, SC3, SC4", "init": "zero_residual"}),
    "loyal, frozen": ("loyal", FROZEN),
    "loyal, redrawn": ("loyal", {**FROZEN, "redraw": True}),
    "loyal, no skip": ("loyal", {"block": "no_skip", "skips": "SC4"}),
    "loyal, max_unpool": ("loyal", {"block": "max_unpool"}),
    "loyal, multi_conv": ("loyal", {"block": "multi_conv", "convs": 2}),
    "df, tail_add": ("df", {"fusion": "tail_add"}),
    "df, no_add": ("df", {"fusion": "no_add"}),
    "dp, uniform": ("dp", {"sampling": "uniform", "physical": 3}),
    "gni, both halves": ("gni", {"halves": "both"}),
    "cfg-static, opposite guidance": ("cfg-static", {"transition": 650, "before": -2}),
    "amg on images, active": ("amg", {"similarity": "images", "low": -10, "high": -9}),
    "amg by an embedder": ("amg", {"similarity": "embedder", "c1": 0.1, "low": -1, "high": -1}),
    "nemo without refinement": (
        "nemo",
        {"seeds": 1, "theta": 1, "refinement": "none", "threshold": 0.01},
    ),
    "initnoise, batch-wise": ("initnoise", {"rule": "batch-wise"}),
}


@pytest.fixture(scope="module")
def backbone(slim: Path) -> Backbone:
    return load_backbone(slim)


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``gc`` needs: captions of the pictures that methods are checked on, and no WordNet."""
    path = tmp_path_factory.mktemp("captions") / "general.jsonl"
    lines = (json.dumps({"id": example(row).id, "caption": "a thing"}) for row in range(ROWS))
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def keeps_the_contract(
    name: str, options: dict[str, Any], backbone: Backbone, skip: tuple[str, ...] = ()
) -> None:
    for check in method_checks(skip):
        check(Case(build_method(name, {name: options})[0], backbone))


@pytest.mark.parametrize("name", plugins.available("methods"))
def test_an_installed_method_keeps_the_contract(name: str, backbone: Backbone, captions: str) -> None:
    needs = {"captions": captions} if name == "gc" else {}
    keeps_the_contract(name, {**SHORT.get(name, {}), **needs}, backbone)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_method_keeps_the_contract_with_other_options(variant: str, backbone: Backbone) -> None:
    keeps_the_contract(*VARIANTS[variant], backbone, skip=("check_end_to_end",))


@pytest.mark.parametrize("name", plugins.available("methods"))
def test_an_installed_method_says_what_it_is_and_where_it_is_from(name: str) -> None:
    target, base = plugins.load("methods", name), plugins.load("methods", "none")
    assert name == "none" or target.summary != base.summary
    assert target.paper or name == "none" or target.summary.startswith("control:")
