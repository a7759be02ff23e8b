"""The versioned ``result.json``: the product of a run, and an API.

A missing value is ``None`` with a reason, never 0; zero is a legitimate, often the ideal, value. The JSON Schema is
committed as docs/result.schema.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, FiniteFloat, ValidationError, model_validator

from replication_bench.config import Section
from replication_bench.errors import DataError
from replication_bench.upgrading import upgraded

SCHEMA_VERSION = 3


class Measurement(Section):
    """One number with everything needed to read it.

    Attributes:
        name: the metric's name.
        value: None where it could not be computed; then ``reason`` says why.
        n: rows it rests on.
        low: lower end of the interval, in the metric's unit.
        high: upper end of the interval.
        unit: ``cosine``, ``share``, ``count``, ``squared distance``, ...
        better: the direction that is good; ``reference`` where there is none.
        note: a warning that belongs beside the number.
        embedder: name of the embedder the number rests on.
        protocol: hash of its protocol.
    """

    name: str
    value: FiniteFloat | None
    reason: str | None = None
    n: int | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    unit: str = ""
    better: Literal["up", "down", "zero", "reference"] = "reference"
    note: str | None = None
    embedder: str | None = None
    protocol: str | None = None

    @model_validator(mode="after")
    def _missing_has_a_reason(self) -> Measurement:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a measurement has either a value or a reason for its absence")
        return self


class MethodRecord(Section):
    """Which method ran, from which distribution, with which parameters."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    distribution: str = "replbench"
    version: str = ""
    paper: str = ""
    reported: tuple[dict[str, Any], ...] = ()


class DatasetRecord(Section):
    """Which images were private and which were held out."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    fingerprint: str
    train: int
    heldout: int
    note: str = ""


class Cost(Section):
    """What a method was given and what it used.

    Attributes:
        budget: images that training was given; None where the model was fine-tuned elsewhere; then ``reason`` says so.
        budget_rule: ``total`` or ``per_stage``; ``none`` where the model was fine-tuned elsewhere.
        images: images seen in training, all stages together; None as for ``budget``.
        images_per_stage: the same by stage.
        parameters: of all networks that sampling needs.
        trained_parameters: of all networks that were trained; None as for ``budget``.
        network_calls_per_image: U-Net evaluations for one generated image, counted.
        seconds: wall-clock seconds by step of the pipeline; not part of any comparison of equality. ``train`` holds the
            encoding of the training images. What an earlier run left in a cache, as ``train.cache=disk`` does with
            latents, took no time here.
        trained_in: id of the run whose training this one shares, ``seconds["train"]`` included; None for its own.
        training_processes: that finished the training, each on a device of its own if it is a GPU; None where nothing
            was trained here or nobody recorded them.
        reason: why nothing is known of the training.
    """

    budget: int | None
    budget_rule: str
    images: int | None
    images_per_stage: dict[str, int]
    parameters: int
    trained_parameters: int | None
    network_calls_per_image: float
    seconds: dict[str, float] = Field(default_factory=dict)
    trained_in: str | None = None
    training_processes: int | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def _unknown_has_a_reason(self) -> Cost:
        unknown = {value is None for value in (self.budget, self.images, self.trained_parameters)}
        if unknown != {self.reason is not None}:
            raise ValueError("a training is known, or there is a reason why it is not")
        return self


class Match(Section):
    """A generated image and one of its nearest training images.

    Attributes:
        generated: id of the generated image.
        rank: 1 for the nearest training image.
        train: id of the training image.
        similarity: cosine of the two.
        prompt: what the image was generated from; empty where it is not known.
        train_caption: first caption of the training image; empty where it has none.
        own_prompt: cosine with the nearest training image whose caption is the prompt; None where no caption is.
        local: how well the better half of the tiles agrees, in place; None where the pixels were not compared.
        label: ``exact``, ``template`` or ``none``; empty where nothing was labelled.
        group: number of the group of near-duplicates that the training image is in; None where none was looked for.
        group_size: images in that group; 1 for an image that nothing repeats.
    """

    generated: str
    rank: int
    train: str
    similarity: float
    prompt: str = ""
    train_caption: str = ""
    own_prompt: float | None = None
    local: float | None = None
    label: str = ""
    group: int | None = None
    group_size: int | None = None


class ImagesRecord(Section):
    """One set of images that an audit read.

    Attributes:
        role: ``generated``, ``train`` or ``heldout``.
        path: what was given.
        kind: ``folder``, ``run``, ``dcr``, ``webdataset``, ``parquet``, ``huggingface`` or ``index``.
        found: images that were found.
        used: images that could be read.
        skipped: what could not be read; ``skipped.csv`` lists it.
        first_frame: animations of which the first frame was used.
        captioned: images with a caption or prompt.
        fingerprint: hash of ids, contents and captions of the images used.
        notes: what a reader must know of this set.
    """

    role: Literal["generated", "train", "heldout"]
    path: str
    kind: str
    found: int
    used: int
    skipped: int
    first_frame: int = 0
    captioned: int = 0
    fingerprint: str = ""
    notes: tuple[str, ...] = ()


class Ran(NamedTuple):
    """What only a run has."""

    method: MethodRecord
    backbone: dict[str, str]
    cost: Cost


class Result(Section):
    """One finished run or audit; ``method``, ``backbone`` and ``cost`` are a run's, ``images`` is an audit's.

    Attributes:
        embedder: name and protocol of the first embedder; measurements carry their own.
        processes: that worked together when the run was finished, each on a device of its own if it is a GPU; ids and
            fingerprints do not depend on it.
        notes: what must stand beside every number, such as a forced comparison.
    """

    schema_version: int = SCHEMA_VERSION
    kind: Literal["run", "audit", "score"] = "run"
    id: str
    status: Literal["success"] = "success"
    fingerprint: str
    config: dict[str, Any]
    passed: dict[str, Any] = Field(default_factory=dict)
    method: MethodRecord | None = None
    dataset: DatasetRecord
    backbone: dict[str, str] | None = None
    embedder: dict[str, Any]
    protocol: str
    seed: int
    cost: Cost | None = None
    images: tuple[ImagesRecord, ...] = ()
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    device: str = "cpu"
    processes: int = 1
    created: str = ""

    def measurement(self, name: str) -> Measurement | None:
        """The measurement called ``name``, or None where this result has none."""
        return next((m for m in self.measurements if m.name == name), None)

    def value(self, name: str) -> float | None:
        """The value of a measurement, or None where it is missing."""
        found = self.measurement(name)
        return found.value if found else None

    @model_validator(mode="after")
    def _a_run_is_whole(self) -> Result:
        if self.kind == "run" and None in (self.method, self.backbone, self.cost):
            raise ValueError("a run has a method, a backbone and a cost")
        return self

    @property
    def ran(self) -> Ran:
        """What only a run has.

        Raises:
            DataError: this is the result of an audit.
        """
        if self.method is None or self.backbone is None or self.cost is None:
            raise DataError(
                "only results of runs have a method", where=self.id, got=f"a result of kind {self.kind}"
            )
        return Ran(self.method, self.backbone, self.cost)

    @property
    def board(self) -> tuple[str, ...]:
        """Results may stand in one table only where these are equal."""
        backbone = self.backbone["sha256"] if self.backbone else ""
        rule = self.cost.budget_rule if self.cost else ""
        return (self.dataset.fingerprint, backbone, self.protocol, rule)


def read_result(path: Path) -> Result:
    """Read and validate a ``result.json``.

    Raises:
        DataError: the file is missing, is no JSON, or does not follow the schema.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        version = table.get("schema_version", 0)
        if not isinstance(version, int):
            raise DataError(
                "the result's schema version is no number",
                where=path,
                got=version,
                want=f"at most {SCHEMA_VERSION}",
            )
        if version > SCHEMA_VERSION:
            raise DataError(
                "the result is newer than this replbench",
                where=path,
                got=f"schema {version}",
                want=f"at most {SCHEMA_VERSION}",
                hint="Upgrade replbench.",
            )
        return Result.model_validate(upgraded(table, SCHEMA_VERSION))
    except OSError as error:
        raise DataError("the result cannot be read", where=path, got=error.strerror) from error
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        hint = "If it was half written or half copied, delete it and run the same command again."
        raise DataError("the result is no JSON object", where=path, got=error, hint=hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            "the result does not follow the schema",
            where=path,
            got=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
        ) from error
