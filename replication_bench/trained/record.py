"""``train/training.json``: which run trained the weights beside it, for how long, and all that they depend on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, model_validator

from replication_bench.config import Section
from replication_bench.store import write_json

if TYPE_CHECKING:
    from replication_bench.training import StageJob

NAME = "training.json"


class Training(Section):
    """A finished training. Two of equal ``facts`` gave equal weights.

    Attributes:
        run: id of the run that trained.
        seconds: that it took; None where nobody recorded them.
        processes: that finished it; None where nobody recorded them.
        facts: everything that can change the weights, plain; see ``replication_bench.trained.facts``.
    """

    run: str
    seconds: float | None
    processes: int | None = None
    facts: dict[str, Any]

    @model_validator(mode="after")
    def _names_data_and_backbone(self) -> Training:
        dataset = self.facts.get("dataset")
        if not isinstance(dataset, dict) or "fingerprint" not in dataset or "backbone" not in self.facts:
            raise ValueError("a training names its data and its backbone")
        return self

    @property
    def dataset(self) -> str:
        """Fingerprint of the splits."""
        return str(self.facts["dataset"]["fingerprint"])

    @property
    def backbone(self) -> str:
        """Hash of the backbone."""
        return str(self.facts["backbone"])


def read_training(path: Path) -> Training | None:
    """The record at ``path``; None where there is none that can be read."""
    try:
        return Training.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError):
        return None


def finished_training(folder: Path, jobs: Iterable[StageJob]) -> Training | None:
    """The training whose weights the folder of a run holds; None unless every stage has them."""
    whole = all(job.final.exists() for job in jobs)
    return read_training(folder / "train" / NAME) if whole else None


def write_training(folder: Path, training: Training) -> None:
    """Put the record beside the weights, last: it says that they are whole."""
    write_json(folder / "train" / NAME, training.model_dump(mode="json"))
