"""The versioned ``result.json``: the product of a run, and an API.

A missing value is ``None`` with a reason, never 0; zero is a legitimate, often the ideal, value. The JSON Schema is
committed as docs/result.schema.json.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from replication_bench.config import Section
from replication_bench.errors import DataError

SCHEMA_VERSION = 1


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
    value: float | None
    reason: str | None = None
    n: int | None = None
    low: float | None = None
    high: float | None = None
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
        images: images seen in training, all stages together.
        images_per_stage: the same by stage.
        parameters: of all networks that sampling needs.
        trained_parameters: of all networks that were trained.
        network_calls_per_image: U-Net evaluations for one generated image, counted.
        seconds: wall-clock seconds by step of the pipeline; not part of any comparison of equality.
    """

    budget: int
    budget_rule: str
    images: int
    images_per_stage: dict[str, int]
    parameters: int
    trained_parameters: int
    network_calls_per_image: float
    seconds: dict[str, float] = Field(default_factory=dict)


class Match(Section):
    """A generated image and one of its nearest training images."""

    generated: str
    rank: int
    train: str
    similarity: float
    prompt: str
    train_caption: str


class Result(Section):
    """One finished run, audit or score; ``method``, ``backbone`` and ``cost`` are a run's alone."""

    schema_version: int = SCHEMA_VERSION
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
    measurements: tuple[Measurement, ...]
    packages: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    device: str = "cpu"
    created: str = ""

    def measurement(self, name: str) -> Measurement | None:
        """The measurement called ``name``, or None where this result has none."""
        return next((m for m in self.measurements if m.name == name), None)

    def value(self, name: str) -> float | None:
        """The value of a measurement, or None where it is missing."""
        found = self.measurement(name)
        return found.value if found else None

    @property
    def board(self) -> tuple[str, ...]:
        """Results may stand in one table only where these are equal."""
        backbone, rule = (self.backbone or {}).get("sha256", ""), self.cost.budget_rule if self.cost else ""
        return (self.dataset.fingerprint, backbone, self.protocol, rule)


def read_result(path: Path) -> Result:
    """Read and validate a ``result.json``.

    Raises:
        DataError: the file is missing, is no JSON, or does not follow the schema.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table.get("schema_version", 0) > SCHEMA_VERSION:
            raise DataError(
                "the result is newer than this replbench",
                where=path,
                got=f"schema {table['schema_version']}",
                want=f"at most {SCHEMA_VERSION}",
                hint="Upgrade replbench.",
            )
        return Result.model_validate(table)
    except OSError as error:
        raise DataError("the result cannot be read", where=path, got=error.strerror) from error
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise DataError("the result is no JSON object", where=path, got=error) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            "the result does not follow the schema",
            where=path,
            got=f"{'.'.join(map(str, first['loc']))}: {first['msg']}",
        ) from error
