"""Each check of ``check_method`` fails a method that breaks it; the planted folder and the tiny backbone."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from loyal.method import Dual
from loyal.routing import Routed
from replication_bench import plugins
from replication_bench.compose import Composition
from replication_bench.data.example import Example, Examples
from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import CHAINED, Batch, Conditioning, Context, Encoded, Method, Stage
from replication_bench.results import Measurement
from replication_bench.seeds import Seeds
from replication_bench.testing import (
    Case,
    CheckFailed,
    check_method,
    load_backbone,
    method_checks,
    planted_folder,
    tiny_backbone,
)

CHECKS = {check.__name__: check for check in method_checks()}


@pytest.fixture(scope="module")
def backbone(slim: Path) -> SimpleNamespace:
    return load_backbone(slim)


@dataclass(frozen=True)
class NoDefault(Method):
    strength: float


class NotDecorated(Method):
    pass


@dataclass(frozen=True)
class HidesAHook(Method):
    guide: float = 1.0  # type: ignore[assignment]


@dataclass(frozen=True)
class LosesItsTuple(Method):
    sizes: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class NoJson(Method):
    names: frozenset[str] = frozenset()


class Gap(Method):
    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        return Stage("front", 0, 400), Stage("tail", 500, num_timesteps)


class StopsEarly(Method):
    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        return (Stage("all", 0, num_timesteps - 1),)


class SameNames(Method):
    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        return Stage("all", 0, 500), Stage("all", 500, num_timesteps)


class EmptyStage(Method):
    def stages(self, num_timesteps: int) -> tuple[Stage, ...]:
        return Stage("front", 0, 0), Stage("tail", 0, num_timesteps)


class OutOfRange(Method):
    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> Tensor:
        return torch.full((n,), stage.stop)


class GlobalRandomness(Method):
    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> Tensor:
        return torch.randint(stage.start, stage.stop, (n,))


class FloatTimesteps(Method):
    def timesteps(self, n: int, stage: Stage, rng: torch.Generator) -> Tensor:
        return super().timesteps(n, stage, rng).float()


class LossChanged(Method):
    def loss(self, denoiser: Denoiser, encoded: Encoded, t: Tensor, noise: Tensor, ctx: Context) -> Tensor:
        return self.changed(super().loss(denoiser, encoded, t, noise, ctx))

    def changed(self, loss: Tensor) -> Tensor:
        return loss


class ScalarLoss(LossChanged):
    def changed(self, loss: Tensor) -> Tensor:
        return loss.mean()


class DetachedLoss(LossChanged):
    def changed(self, loss: Tensor) -> Tensor:
        return loss.detach()


class ZeroLoss(LossChanged):
    def changed(self, loss: Tensor) -> Tensor:
        return loss * 0


class NanLoss(LossChanged):
    def changed(self, loss: Tensor) -> Tensor:
        return loss * torch.nan


class EncodesInPlace(Method):
    def encode(self, encoded: Encoded, batch: Batch, ctx: Context, rng: torch.Generator) -> Encoded:
        encoded.cond.mul_(2)
        return encoded


class StartsInPlace(Method):
    def initial(self, noise: Tensor, *rest: Any) -> Tensor:
        return noise.add_(1)


class WritesIntoTheBackbone(Method):
    def wrap(self, denoiser: Denoiser, ctx: Context) -> Denoiser:
        with torch.no_grad():
            next(ctx.backbone.vae.parameters()).add_(1)
        return denoiser


class Unregistered(Method):
    """The pattern of LoyalDiffusion's research code: a convolution that the state dict does not know."""

    def build(self, backbone: Any, stage: Stage) -> nn.Module:
        unet = super().build(backbone, stage)
        hidden = (nn.Conv2d(4, 4, 1),)
        unet.register_forward_hook(lambda module, args, output: (hidden[0](output[0]),))
        return unet


class FirstRow(nn.Module):
    """Asks the network of the first row's timestep for the whole batch."""

    def __init__(self, routed: Routed):
        super().__init__()
        self.routed = routed

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        network = self.routed.front if t[0] < self.routed.tau else self.routed.tail
        prediction: Tensor = network(x_t, t, cond)
        return prediction


@dataclass(frozen=True)
class RoutesByTheFirstRow(Dual):
    def denoiser(self, modules: Sequence[nn.Module]) -> Denoiser:
        routed = super().denoiser(modules)
        assert isinstance(routed, Routed)
        return FirstRow(routed)


class DeniesItsHooks(Dual):
    def overrides(self, hook: str) -> bool:
        return False


class CountsCalls(Method):
    """Keeps state: every call gives another caption."""

    calls: list[str] = []  # noqa: RUF012 - the mistake under test

    def caption(self, text: str, example: Example, rng: np.random.Generator) -> str:
        self.calls.append(text)
        return f"{text} {len(self.calls)}"


class StandsStill(Method):
    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=0.0)


class TrainsTheBackbone(Method):
    def build(self, backbone: Any, stage: Stage) -> nn.Module:
        unet: nn.Module = backbone.unet
        return unet.requires_grad_(True)


class MovesFrozenWeights(Method):
    """Decays a weight that takes no gradient."""

    def build(self, backbone: Any, stage: Stage) -> nn.Module:
        unet = super().build(backbone, stage)
        unet.get_parameter("conv_in.bias").requires_grad_(False).fill_(1)
        return unet

    def loss(self, denoiser: Any, *rest: Any) -> Tensor:
        denoiser.unet.conv_in.bias.mul_(0.9)
        return super().loss(denoiser, *rest)


class TrainsWhileSampling(Method):
    kind = "sample"

    def loss(self, denoiser: Any, *rest: Any) -> Tensor:
        return 2 * super().loss(denoiser, *rest)


class TrainsInSecret(Method):
    """Trains otherwise, and says of every hook that it leaves it alone."""

    kind = "sample"

    def overrides(self, hook: str) -> bool:
        return False

    def loss(self, denoiser: Any, *rest: Any) -> Tensor:
        return super().loss(denoiser, *rest).sqrt()


@dataclass(frozen=True)
class PredictsNothing(Method):
    def guide(self, denoiser: Any, x_t: Tensor, *rest: Any) -> Tensor:
        return super().guide(denoiser, x_t, *rest) * torch.nan


class CallsNoNetwork(Method):
    def guide(self, denoiser: Any, x_t: Tensor, *rest: Any) -> Tensor:
        return torch.zeros_like(x_t)


class TakesTheNameOfAMetric(Method):
    def facts(self, facts: tuple[Measurement, ...], *rest: Any) -> tuple[Measurement, ...]:
        return (*facts, Measurement(name="epsilon", value=1.0), Measurement(name="epsilon", value=2.0))


class TellsNoNumber(Method):
    def facts(self, facts: tuple[Measurement, ...], *rest: Any) -> tuple[Measurement, ...]:
        return (*facts, Measurement(name="epsilon", value=float("nan")))


class GivesNothingBack(Method):
    def prompt(self, text: str, rng: np.random.Generator) -> str:
        return None  # type: ignore[return-value]


class NoKind(Method):
    kind = "data"  # type: ignore[assignment]


class DrawsFromTheClock(Method):
    def order(self, size: int, start: int, stop: int, seeds: Seeds) -> list[int]:
        return list(range(start, stop))


class DrawsAnew(Method):
    def order(self, size: int, start: int, stop: int, seeds: Seeds) -> list[int]:
        return torch.randint(size, (stop - start,)).tolist()


BROKEN = [
    ("check_default_constructible", NoDefault(1.0), "TypeError"),
    ("check_frozen_dataclass", NotDecorated(), "frozen=True"),
    ("check_frozen_dataclass", HidesAHook(), "guide"),
    ("check_json_round_trip", LosesItsTuple(), r"\[1, 2\]"),
    ("check_json_round_trip", NoJson(), "not JSON serializable"),
    ("check_stages_partition_the_timesteps", Gap(), "no partition"),
    ("check_stages_partition_the_timesteps", StopsEarly(), "no partition"),
    ("check_stages_partition_the_timesteps", SameNames(), "not distinct"),
    ("check_stages_partition_the_timesteps", EmptyStage(), "empty stage"),
    ("check_kind", TrainsWhileSampling(), "overrides loss"),
    ("check_kind", NoKind(), "'data'"),
    ("check_order", DrawsFromTheClock(), "out of range"),
    ("check_order", DrawsAnew(), "unequal orders"),
    ("check_timesteps", OutOfRange(), "outside"),
    ("check_timesteps", GlobalRandomness(), "unequal timesteps"),
    ("check_timesteps", FloatTimesteps(), "float32"),
    ("check_loss", ScalarLoss(), "each of 4 rows"),
    ("check_loss", DetachedLoss(), "RuntimeError"),
    ("check_loss", ZeroLoss(), "no gradient"),
    ("check_loss", NanLoss(), "not finite"),
    ("check_hooks_leave_inputs_unchanged", EncodesInPlace(), "'encode'"),
    ("check_hooks_leave_inputs_unchanged", StartsInPlace(), "'initial'"),
    ("check_hooks_leave_inputs_unchanged", WritesIntoTheBackbone(), "'wrap'"),
    ("check_rebuild_and_strict_load", Unregistered(), "state dict"),
    ("check_mixed_timesteps", RoutesByTheFirstRow(), "off by"),
    ("check_composition_order", DeniesItsHooks(), "composed, the stages"),
    ("check_composition_order", CountsCalls(), "'caption' composed"),
    ("check_two_training_steps", StandsStill(), "no weight"),
    ("check_two_training_steps", TrainsTheBackbone(), "backbone was trained"),
    ("check_two_training_steps", MovesFrozenWeights(), "frozen weights"),
    ("check_two_training_steps", TrainsInSecret(), "other weights than 'none'"),
    ("check_end_to_end", PredictsNothing(), "samples that are not finite"),
    ("check_end_to_end", CallsNoNetwork(), "no network was called"),
    ("check_end_to_end", TakesTheNameOfAMetric(), "measured twice: epsilon"),
    ("check_end_to_end", TellsNoNumber(), "ValidationError"),
    ("check_end_to_end", GivesNothingBack(), "Error"),
]


@pytest.mark.parametrize(
    ("check", "method", "message"),
    BROKEN,
    ids=lambda value: type(value).__name__ if isinstance(value, Method) else "",
)
def test_every_check_can_fail(backbone: Any, check: str, method: Method, message: str) -> None:
    with pytest.raises(CheckFailed, match=f"^{check}: .*{message}"):
        CHECKS[check](Case(method, copy.deepcopy(backbone)))


class Halved:
    """A denoiser with smaller predictions."""

    def __init__(self, denoiser: Denoiser, by: int):
        self.denoiser, self.by = denoiser, by

    def __call__(self, *arguments: Tensor) -> Tensor:
        return self.denoiser(*arguments) / (1 + self.by)


# a change of what each chained hook is handed, stronger with n
CHANGES: dict[str, Callable[[Any, int], Any]] = {
    "dataset": lambda data, n: Examples(data.items[n % 2 :]),
    "caption": lambda text, n: f"{text} {n}".upper(),
    "image": lambda image, n: image.flip(-1) / n,
    "encode": lambda encoded, n: Encoded(*(value / (1 + n) for value in encoded)),
    "prompt": lambda text, n: f"{text} {n}".upper(),
    "condition": lambda states, n: Conditioning(states.cond / (1 + n), states.uncond),
    "initial": lambda noise, n: noise / (1 + n),
    "wrap": Halved,
    "facts": lambda facts, n: (*facts, Measurement(name="calls", value=n)),
}


def changing(hook: str, counts: bool) -> Method:
    """A method that replaces one chained hook; ``counts``: each call changes more than the one before."""
    calls: list[None] = []

    def run(self: Method, value: Any, *rest: Any) -> Any:
        calls.append(None)
        return CHANGES[hook](value, len(calls) if counts else 1)

    method: Method = dataclass(frozen=True)(type("Changing", (Method,), {hook: run}))()
    return method


@pytest.mark.parametrize("hook", CHAINED)
def test_state_of_a_chained_hook_is_seen(backbone: Any, hook: str) -> None:
    with pytest.raises(CheckFailed, match=f"^check_composition_order: hook '{hook}' composed gives"):
        CHECKS["check_composition_order"](Case(changing(hook, counts=True), backbone))


@pytest.mark.parametrize("hook", CHAINED)
def test_a_composition_that_runs_backwards_is_seen(
    backbone: Any, hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(changing(hook, counts=False), backbone)
    CHECKS["check_composition_order"](case)

    def backwards(self: Composition, value: Any, *rest: Any) -> Any:
        for part in reversed(self.parts):
            value = getattr(part, hook)(value, *rest)
        return value

    monkeypatch.setattr(Composition, hook, backwards)
    with pytest.raises(CheckFailed, match=f"^check_composition_order: hook '{hook}' composed gives"):
        CHECKS["check_composition_order"](case)


def test_no_check_is_left_untried() -> None:
    assert {check for check, _, _ in BROKEN} == set(CHECKS)


def test_check_method_names_the_check_that_failed(slim: Path) -> None:
    with pytest.raises(CheckFailed, match=r"^check_mixed_timesteps: .*off by"):
        check_method(RoutesByTheFirstRow(), slim)


def test_check_method_brings_its_own_backbone() -> None:
    with pytest.raises(CheckFailed, match=r"^check_frozen_dataclass: "):
        check_method(NotDecorated())


def test_a_check_can_be_left_out_by_its_name(slim: Path) -> None:
    check_method(PredictsNothing(), slim, skip=("check_end_to_end",))
    with pytest.raises(ConfigError, match=r"unknown check 'check_end'; in skip. Did you mean"):
        check_method(Method(), slim, skip=("check_end",))


def test_what_is_checked_leaves_the_process_as_it_was(slim: Path) -> None:
    before, cache = dict(plugins.available("methods")), os.environ["REPLBENCH_CACHE"]
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    CHECKS["check_end_to_end"](Case(Method(), load_backbone(slim)))
    assert plugins.available("methods") == before
    assert os.environ["REPLBENCH_CACHE"] == cache
    assert accelerator.mixed_precision == Accelerator().mixed_precision == "bf16"


def test_the_tiny_backbone_is_seeded_and_leaves_the_random_state(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    folders = [tiny_backbone(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (load_backbone(folder).unet.conv_in.weight for folder in folders)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_tiny_tokenizer_knows_its_words_and_every_byte(backbone: Any) -> None:
    assert backbone.tokenizer.tokenize("a red circle") == ["a</w>", "red</w>", "circle</w>"]
    assert backbone.tokenizer.unk_token_id not in backbone.tokenizer("Ωé!").input_ids[1:-1]


@pytest.mark.parametrize("levels", [2, 3])
def test_the_tiny_backbone_has_as_many_levels_as_asked_for(tmp_path: Path, levels: int) -> None:
    parts = load_backbone(tiny_backbone(tmp_path, levels=levels, channels=8))
    assert len(parts.unet.down_blocks) == levels


def test_planted_duplicates_are_near_and_captioned_alike(tmp_path: Path) -> None:
    pairs = planted_folder(tmp_path, 6, duplicates=2)
    assert pairs == [("0000.png", "0004.png"), ("0001.png", "0005.png")]
    pixels = {path.name: np.asarray(Image.open(path), dtype=int) for path in sorted(tmp_path.glob("*.png"))}
    assert [array.shape for array in pixels.values()] == [(32, 32, 3)] * 6
    for original, planted in pairs:
        assert 0 < abs(pixels[original] - pixels[planted]).max() <= 4
        captions = {(tmp_path / name).with_suffix(".txt").read_text() for name in (original, planted)}
        assert len(captions) == 1
    assert abs(pixels["0000.png"] - pixels["0001.png"]).max() > 100


def test_planted_folders_follow_the_seed(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> dict[str, bytes]:
        planted_folder(tmp_path / name, 3, seed=seed)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    assert written("first", 1) == written("again", 1) != written("other", 2)
    with pytest.raises(ValueError, match="near-duplicates"):
        planted_folder(tmp_path, 3, duplicates=2)
