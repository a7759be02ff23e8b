"""``a+b`` with the method under test: chained hooks from left to right, owned hooks by their owner."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from replication_bench.compose import compose
from replication_bench.data.example import Example, Examples
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import CHAINED, OWNED, Batch, Conditioning, Context, Encoded, Method
from replication_bench.results import Measurement
from replication_bench.testing.case import Case, expect
from replication_bench.testing.inputs import hook_arguments


def bent(values: Tensor) -> Tensor:
    """``values``, any shape, mapped into (-1, 1) in a curve that differs along the last axis.

    So it does not commute with noise, with mixtures of rows or with mirror images, and the order of two changes shows.
    """
    return (values + torch.linspace(0, 1, values.shape[-1]).to(values)).tanh()


class Bent:
    """A denoiser with bent predictions."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser = denoiser

    def __call__(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """See ``Denoiser``."""
        return bent(self.denoiser(x_t, t, cond))


@dataclass(frozen=True)
class Marked(Method):
    """Changes what each chained hook is handed, so that what comes before it can be told from what comes after."""

    def dataset(self, data: Examples, ctx: Context) -> Examples:
        """The examples from the last to the first."""
        return Examples(data.items[::-1])

    def caption(self, text: str, example: Example, rng: np.random.Generator) -> str:
        """The caption with its mark."""
        return f"{text} marked"

    def prompt(self, text: str, rng: np.random.Generator) -> str:
        """The prompt with its mark."""
        return f"{text} marked"

    def image(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """The image, bent."""
        return bent(image)

    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        """Latents and text states, bent."""
        return Encoded(bent(encoded.latents), bent(encoded.cond))

    def condition(
        self, states: Conditioning, denoiser: Denoiser, ctx: Context, rngs: Sequence[torch.Generator]
    ) -> Conditioning:
        """Both halves, bent."""
        return Conditioning(bent(states.cond), bent(states.uncond))

    def initial(self, noise: Tensor, *rest: Any) -> Tensor:
        """The noise, bent."""
        return bent(noise)

    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        """The denoiser, its predictions bent."""
        return Bent(denoiser)

    def facts(self, facts: tuple[Measurement, ...], data: Examples, ctx: Context) -> tuple[Measurement, ...]:
        """One more fact: how many stand before it."""
        return (*facts, Measurement(name="marked", value=len(facts)))


def anew(argument: Any) -> Any:
    """The same argument for another call: generators begin again, and nothing is remembered."""
    if isinstance(argument, torch.Generator):
        return argument.clone_state()
    if isinstance(argument, np.random.Generator):
        return copy.deepcopy(argument)
    if isinstance(argument, Context):
        return replace(argument, memo={}, batch=replace(argument.samples, scratch={}))
    return [anew(each) for each in argument] if isinstance(argument, list) else argument


def seen(case: Case, value: Any) -> Any:
    """What can be compared of a hook's result: a denoiser by what it predicts, examples by what they are."""
    if isinstance(value, Examples):
        return value.items
    return case.predict(value) if callable(value) else value


def equal(left: Any, right: Any) -> bool:
    """Whether two results are the same, tensors to the bit."""
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def check_chained(case: Case) -> None:
    """Every chained hook of a composition with the method gives what its parts give in turn."""
    marked = Marked()
    for hook, (value, *rest) in hook_arguments(case).items():
        if hook not in CHAINED:
            continue
        for parts in ((case.method, marked), (marked, case.method)):
            want, given = value, anew(rest)
            for part in parts:
                want = getattr(part, hook)(want, *given)
            got = getattr(compose([("first", parts[0]), ("second", parts[1])]), hook)(value, *anew(rest))
            want, got = seen(case, want), seen(case, got)
            told = (
                f"{got!r}, its parts in turn {want!r}" if isinstance(want, str) else "not what its parts do"
            )
            expect(equal(got, want), f"hook '{hook}' composed gives {told}")


def check_owners(case: Case) -> None:
    """A composition with the method has the method's stages; the method twice is a conflict."""
    stages = compose([("marked", Marked()), ("method", case.method)]).stages(case.num_timesteps)
    expect(stages == case.stages, f"composed, the stages are {stages}, alone {case.stages}")
    owned = [hook for hook in OWNED if getattr(type(case.method), hook) is not getattr(Method, hook)]
    try:
        compose([("once", case.method), ("again", case.method)])
    except ConfigError as error:
        expect("'once'" in str(error) and "'again'" in str(error), f"the conflict names no parts: {error}")
    else:
        expect(not owned, f"two owners of {', '.join(owned)} are accepted")
