"""The published variants of LoyalDiffusion as recipes: each differs from the demo in the options of ``loyal`` alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from loyal.method import Loyal
from replication_bench.config import RunConfig
from replication_bench.recipe_files import recipe_names
from replication_bench.resolve import Request, resolve_runs

VARIANTS: dict[str, dict[str, Any]] = {
    "loyal-redrawn": {"trainable": False, "redraw": True},
    "loyal-silu": {"block": "conv3x3_silu"},
    "loyal-multi-conv": {"block": "multi_conv", "convs": 2},
    "loyal-max-unpool": {"block": "max_unpool"},
    "loyal-no-skip": {"block": "no_skip"},
    "loyal-all-skips": {"skips": ("conv_in", "SC1", "SC2", "SC3", "SC4")},
    "loyal-front": {"side": "front"},
}


STACKED = "loyal-gc-df"
PAGE = Path(__file__).parents[2] / "docs" / "methods" / "loyal.md"


def configs(recipe: str, method: str = "loyal", settings: Iterable[str] = ()) -> tuple[RunConfig, RunConfig]:
    """The runs of ``none`` and ``method``."""
    request = Request(recipe=recipe, methods=(method,), settings=tuple(settings))
    none, found = resolve_runs(request)[0]
    return none, found


def documented() -> dict[str, list[str]]:
    """The options of each variant as the page has them."""
    section = PAGE.read_text(encoding="utf-8").split("## Published settings")[1]
    lines = re.findall(r"^\| `(loyal-[^`]*)` \| `([^`]*)` \|", section, flags=re.MULTILINE)
    return {name: options.split() for name, options in lines}


def test_every_variant_is_here() -> None:
    assert {name for name in recipe_names() if name.startswith("loyal-")} == {*VARIANTS, STACKED}


@pytest.mark.parametrize("base", ["sd21-laion10k", "sd21-laion10k-512"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_options_of_the_page_make_the_variant_on_another_base(name: str, base: str) -> None:
    (none, loyal), (plain, _) = (
        configs(base, settings=(f"methods.loyal.{option}" for option in documented()[name])),
        configs(base),
    )
    assert none == plain
    assert Loyal(**loyal.method.options["loyal"]) == Loyal(**VARIANTS[name])


def test_loyal_stacks_with_generalised_captions_and_dual_fusion() -> None:
    method = "loyal+gc+df"
    stacked, plain = configs(STACKED, method)[1], configs("openmoji", method)[1]
    assert stacked.model_copy(update={"method": plain.method}) == plain
    options = stacked.method.options
    assert options["df"] == {**plain.method.options["df"], "w_lat": 0.5, "fusion": "no_add"}
    assert {**options, "df": None} == {**plain.method.options, "df": None}
    page = PAGE.read_text(encoding="utf-8")
    assert "`w_lat=0.5 fusion=no_add`" in page
    assert "--set methods.df.w_lat=0.5 --set methods.df.fusion=no_add" in page


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_the_demo_with_other_options_of_loyal(name: str) -> None:
    (none, loyal), (plain, published) = configs(name), configs("openmoji")
    assert none == plain
    assert loyal.model_copy(update={"method": published.method}) == published
    assert Loyal(**loyal.method.options["loyal"]) == Loyal(**VARIANTS[name])
    assert loyal.fingerprint() != published.fingerprint()


@pytest.mark.parametrize("name", [*VARIANTS, STACKED])
def test_a_variant_names_its_source_and_its_command(name: str) -> None:
    text = (files("replication_bench") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    assert "# Source: " in text
    assert "HowardLi0816/LoyalDiffusion at 5e3a913" in " ".join(text.replace("#", "").split())
    assert f"#   replbench run --recipe {name} --method loyal" in text
