"""The typed, frozen configuration of a run: a recipe, then ``--set a.b=c``, then the command's own flags.

An unknown key is an error. The fingerprint of a resolved configuration names everything that can change a result.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, PositiveInt, ValidationError

from replication_bench.errors import ConfigError, did_you_mean
from replication_bench.measured import MeasureConfig as MeasureConfig
from replication_bench.speed import UNSEEN, SampleSpeed, TrainSpeed
from replication_bench.speed import Section as Section

Options = dict[str, Any]


class TrainConfig(TrainSpeed):
    """How every method of a comparison is trained; ``TrainSpeed`` holds how it is computed.

    Attributes:
        budget: images seen in total, or one of the recipe's named budgets.
        budget_rule: ``total`` shares the budget out by the width of the stages' intervals; ``per_stage`` gives
            every stage the whole budget, as the papers do.
        budgets: the named budgets, in images.
        pixels: image side; None for the backbone's own.
        batch_size: images a step.
        learning_rate: after the warm-up; constant.
        warmup_images: linear warm-up.
        weight_decay: of AdamW.
        clip_norm: largest gradient norm.
        flip: probability of a horizontal flip.
        caption_dropout: probability that a caption is replaced by the empty prompt.
        ema_decay: decay of the averaged weights used for sampling; 0 for none.
        precision: ``auto`` uses bf16 where the device computes it natively.
        checkpoint_images: images between two checkpoints.
    """

    budget: int | str = "demo"
    budget_rule: Literal["total", "per_stage"] = "total"
    budgets: dict[str, PositiveInt] = Field(
        default_factory=lambda: {"tiny": 32, "demo": 10_000, "full": 60_000}
    )
    pixels: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=32, gt=0)
    learning_rate: float = Field(default=5e-4, gt=0)
    warmup_images: int = Field(default=500, ge=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    flip: float = Field(default=0.0, ge=0, le=1)
    caption_dropout: float = Field(default=0.0, ge=0, le=1)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    checkpoint_images: int = Field(default=3_200, gt=0)

    @property
    def images(self) -> int:
        """The budget in images.

        Raises:
            ConfigError: an unknown name, or a number below 1.
        """
        if self.budget in self.budgets:
            return self.budgets[str(self.budget)]
        try:
            images = int(self.budget)
        except ValueError:
            hint = did_you_mean(str(self.budget), self.budgets)
            raise ConfigError(f"unknown budget '{self.budget}'", hint=hint) from None
        if images < 1:
            raise ConfigError(
                "the budget must be positive", where="--budget", got=self.budget, want="1 or more images"
            )
        return images

    def resolved(self) -> dict[str, Any]:
        """What can change trained weights, plain: the budget in images, no names of budgets that were not chosen."""
        table = self.model_dump(mode="json", exclude={"budgets", "checkpoint_images", *UNSEEN["train"]})
        return {**table, "budget": self.images}


class SampleConfig(SampleSpeed):
    """How images are generated; ``SampleSpeed`` holds how it is computed.

    Attributes:
        samples: number of generations; training captions are used as prompts, cycled in order.
        steps: denoising steps.
        guidance_scale: of classifier-free guidance.
        scheduler: a diffusers scheduler by name.
        batch_size: samples a batch; part of the fingerprint, since batching changes the last bits.
    """

    samples: int = Field(default=256, gt=0)
    steps: int = Field(default=20, gt=0)
    guidance_scale: float = Field(default=3.0, ge=0)
    scheduler: Literal["ddim", "dpm++"] = "ddim"
    batch_size: int = Field(default=64, gt=0)


class DuplicationConfig(Section):
    """Which training images stand in the training set several times; see ``data/duplication.py``.

    Attributes:
        plan: ``nodup``; ``dup_both``, copies with the image's own captions; ``dup_image``, copies that begin with
            another of its captions.
        share: of the training images, in (0, 1].
        times: how often each of these stands there.
        seed: of the choice.
    """

    plan: Literal["nodup", "dup_both", "dup_image"] = "nodup"
    share: float = Field(default=0.05, gt=0, le=1)
    times: int = Field(default=5, ge=2)
    seed: int = 0


class NamedOptions(Section):
    """A plug-in by name with its options."""

    name: str
    options: Options = Field(default_factory=dict)


class RunConfig(Section):
    """Everything a run needs; equal configurations on equal data give equal results on one machine.

    Attributes:
        tuned: the backbone was fine-tuned elsewhere and is sampled as it is; of ``train`` only ``pixels`` counts.
    """

    dataset: NamedOptions
    backbone: str = "pocket"
    method: NamedOptions = NamedOptions(name="none")
    seed: int = 0
    duplication: DuplicationConfig = DuplicationConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()
    measure: MeasureConfig = MeasureConfig()
    tuned: bool = False

    def recorded(self) -> dict[str, Any]:
        """Plain, as it is written down; where nothing is trained it says nothing of training."""
        if self.tuned:
            return {**self.model_dump(mode="json"), "train": {"pixels": self.train.pixels}}
        return self.model_dump(mode="json", exclude={"tuned"})

    def fingerprint(self, **facts: str) -> str:
        """SHA-256 over the resolved configuration and ``facts`` (hashes of data, backbone, embedder)."""
        resolved = self.recorded()
        if self.duplication.plan == "nodup":
            del resolved["duplication"]
        if not self.tuned:
            resolved["train"] = self.train.resolved()
        for key in UNSEEN["sample"]:
            del resolved["sample"][key]
        text = json.dumps({"config": resolved, "facts": facts}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class Recipe(Section):
    """A TOML file: the configuration without what the command names. ``methods`` holds options by method name."""

    dataset: NamedOptions | None = None
    backbone: str = "pocket"
    methods: dict[str, Options] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    reference: str = "none"
    duplication: DuplicationConfig = DuplicationConfig()
    train: TrainConfig = TrainConfig()
    sample: SampleConfig = SampleConfig()
    measure: MeasureConfig = MeasureConfig()


def parse_value(text: str) -> Any:
    """A TOML value, or the text itself where it is none: ``3`` -> 3, ``true`` -> True, ``conv3x3`` -> 'conv3x3'."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def apply_setting(table: dict[str, Any], setting: str) -> None:
    """Put ``a.b=c`` into a nested table.

    Raises:
        ConfigError: no '=', or a key below something that is no table.
    """
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise ConfigError("--set takes key=value", got=setting, want="for example train.learning_rate=1e-4")
    put(table, key, parse_value(value))


def put(table: dict[str, Any], key: str, value: Any) -> None:
    """Put ``value`` under the dotted ``key`` of a nested table.

    Raises:
        ConfigError: the key goes below something that is no table.
    """
    *parents, leaf = key.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError("--set goes below a plain value", where=key, got=f"{key}={value}")
    table[leaf] = value


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``; the inverse of ``put``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def validate(table: Mapping[str, Any], where: str) -> Recipe:
    """A recipe from a plain table.

    Raises:
        ConfigError: an unknown key (with the closest known one) or a value out of range; one line.
    """
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        raise config_error(error, where) from error


def config_error(error: ValidationError, where: str) -> ConfigError:
    """The first complaint of pydantic as one line."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"unknown key '{key}'",
            where=where,
            hint=did_you_mean(str(first["loc"][-1]), known_keys(first["loc"])),
        )
    return ConfigError(f"{key}: {first['msg'].lower()}", where=where, got=repr(first["input"]))


def known_keys(location: Sequence[str | int]) -> list[str]:
    """The keys of the section that holds the last key of ``location``."""
    model: Any = Recipe
    for part in location[:-1]:
        annotation = model.model_fields[str(part)].annotation
        model = next(
            (a for a in (annotation, *getattr(annotation, "__args__", ())) if hasattr(a, "model_fields")),
            None,
        )
        if model is None:
            return []
    return list(model.model_fields)
