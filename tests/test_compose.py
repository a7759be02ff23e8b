from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import nn

from replication_bench.compose import Composition, compose
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import CHAINED, EACH, HOOKS, OWNED, Method, Stage


@dataclass(frozen=True)
class Tags(Method):
    """Appends its tag to the first argument of every chained hook."""

    tag: str = "a"


def tagging(hook: str) -> Callable[..., Any]:
    return lambda self, value, *rest: f"{value}{self.tag}"


for _hook in CHAINED:
    setattr(Tags, _hook, tagging(_hook))


@dataclass(frozen=True)
class Halves(Method):
    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        return Stage("front", 0, 1), Stage("tail", 1, num_timesteps)

    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        return super().denoiser(modules[:1])


@dataclass(frozen=True)
class Late(Method):
    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> torch.Tensor:
        return torch.full((n,), stage.stop - 1)


def extra(hook: str) -> list[None]:
    """Stand-ins for the arguments of ``hook`` after the first."""
    return [None] * (len(inspect.signature(getattr(Method, hook)).parameters) - 2)


@pytest.mark.parametrize("hook", CHAINED)
def test_chained_hooks_run_in_the_order_of_the_parts(hook: str) -> None:
    parts = [(tag, Tags(tag=tag)) for tag in "abc"]
    assert getattr(compose(parts), hook)(">", *extra(hook)) == ">abc"
    assert getattr(compose(parts[::-1]), hook)(">", *extra(hook)) == ">cba"


@pytest.mark.parametrize("hook", CHAINED)
def test_a_part_without_the_hook_passes_the_value_on(hook: str) -> None:
    whole = compose([("none", Method()), ("tags", Tags(tag="x")), ("halves", Halves())])
    assert getattr(whole, hook)(">", *extra(hook)) == ">x"


def test_an_owned_hook_is_its_owners_wherever_it_stands() -> None:
    for order in (1, -1):
        whole = compose([("halves", Halves()), ("late", Late()), ("tags", Tags())][::order])
        assert whole.stages(10) == Halves().stages(10)
        assert whole.timesteps(2, Stage("all", 0, 10), torch.Generator()).tolist() == [9, 9]


def test_an_owned_hook_without_owner_is_plain_fine_tuning() -> None:
    whole = compose([("late", Late()), ("tags", Tags())])
    assert whole.stages(10) == Method().stages(10)


def test_two_owners_are_refused_and_both_are_named() -> None:
    with pytest.raises(ConfigError, match=r"'halves' and 'other' cannot be combined.*'stages'") as caught:
        compose([("halves", Halves()), ("tags", Tags()), ("other", Halves())])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hook", OWNED)
def test_every_owned_hook_has_one_owner(hook: str) -> None:
    owner = type("Owner", (Method,), {hook: lambda self, *rest: None})
    with pytest.raises(ConfigError, match=f"'{hook}'"):
        compose([("first", owner()), ("second", owner())])


def test_one_part_is_returned_as_it_is() -> None:
    method = Halves()
    assert compose([("halves", method)]) is method


def test_a_composition_overrides_what_its_parts_override() -> None:
    whole = compose([("halves", Halves()), ("late", Late())])
    assert isinstance(whole, Composition)
    assert [hook for hook in HOOKS if whole.overrides(hook)] == ["stages", "timesteps", "denoiser"]


def test_a_composition_is_composed_again() -> None:
    inner = compose([("a", Tags(tag="a")), ("halves", Halves())])
    whole = compose([("inner", inner), ("b", replace(Tags(), tag="b"))])
    assert getattr(whole, "prompt")(">", None) == ">ab"  # noqa: B009 - a string stands for the random generator's place
    assert whole.stages(10) == Halves().stages(10)


@dataclass(frozen=True)
class Refuses(Method):
    why: str = "no"

    def check(self, ctx: Any) -> None:
        raise ConfigError(self.why)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_part_may_refuse(place: int) -> None:
    parts: list[tuple[str, Method]] = [("none", Method()), ("tags", Tags())]
    parts.insert(place, ("refuses", Refuses("not on this machine")))
    with pytest.raises(ConfigError, match="not on this machine"):
        compose(parts).check(None)  # type: ignore[arg-type]


def test_every_hook_is_chained_or_owned_or_asked_of_each_part() -> None:
    groups = (CHAINED, OWNED, EACH)
    assert len(HOOKS) == len({hook for group in groups for hook in group}) == sum(map(len, groups))
    defined = {name for name, value in vars(Method).items() if inspect.isfunction(value)}
    own = {name for name in defined if not name.startswith("_")} - {"overrides"}
    assert own == set(HOOKS)
