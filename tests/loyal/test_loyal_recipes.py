"""The published variants of LoyalDiffusion as recipes: each differs from the demo in the options of ``loyal`` alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest

from loyal.method import Loyal
from replication_bench.config import RunConfig
from replication_bench.recipe_files import recipe_names
from replication_bench.resolve import Request, resolve_runs

VARIANTS: dict[str, dict[str, Any]] = {
    "loyal-redrawn": {"trainable": False, "redraw": True},
    "loyal-silu": {"block": "conv3x3_silu"},
    "loyal-max-unpool": {"block": "max_unpool"},
    "loyal-no-skip": {"block": "no_skip"},
    "loyal-all-skips": {"skips": ("conv_in", "SC1", "SC2", "SC3", "SC4")},
    "loyal-front": {"side": "front"},
}


def configs(recipe: str) -> tuple[RunConfig, RunConfig]:
    """The runs of ``none`` and ``loyal``."""
    none, loyal = resolve_runs(Request(recipe=recipe, methods=("loyal",)))[0]
    return none, loyal


def test_every_variant_is_here() -> None:
    assert {name for name in recipe_names() if name.startswith("loyal-")} == set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_demo_with_other_options_of_loyal(name: str) -> None:
    (none, loyal), (plain, published) = configs(name), configs("openmoji")
    assert none == plain
    assert loyal.model_copy(update={"method": published.method}) == published
    assert Loyal(**loyal.method.options["loyal"]) == Loyal(**VARIANTS[name])
    assert loyal.fingerprint() != published.fingerprint()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_names_its_source_and_its_command(name: str) -> None:
    text = (files("replication_bench") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    assert "# Source: " in text
    assert "HowardLi0816/LoyalDiffusion at 5e3a913" in text
    assert f"#   replbench run --recipe {name} --method loyal" in text
