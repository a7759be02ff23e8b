"""Read the folder of a run that ``--from`` names."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from replication_bench.config import RunConfig
from replication_bench.errors import DataError
from replication_bench.results import read_result
from replication_bench.trained.parent import Parent
from replication_bench.trained.record import NAME, Training, read_training

CONFIG = "config.json"


def open_parent(folder: Path) -> Parent:
    """The run in ``folder``.

    Raises:
        DataError: its configuration cannot be read, or it is not trained to its end.
    """
    config = read_config(folder / CONFIG)
    if config.tuned:
        raise DataError(
            "the run of --from trained nothing: it sampled a pipeline",
            where=folder,
            hint=f"Name the pipeline: --from {config.backbone}",
        )
    training = read_training(folder / "train" / NAME) or training_of_result(folder)
    if training is None:
        stages = sorted(path.parent.name for path in folder.glob("train/*/final.safetensors"))
        raise DataError(
            "the run of --from is not trained to its end",
            where=folder,
            got=f"final weights of {', '.join(stages)} alone" if stages else "no final weights",
            hint="Run its own command again to finish it.",
        )
    return Parent(folder, config, training)


def read_config(path: Path) -> RunConfig:
    """The configuration of a run.

    Raises:
        DataError: the file is no JSON, or describes something else.
    """
    try:
        return RunConfig.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        raise DataError(
            f"the {CONFIG} is not that of a run",
            where=path,
            got=error if first is None else f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}",
            want="the folder of a run, or of a whole diffusers pipeline",
        ) from error


def training_of_result(folder: Path) -> Training | None:
    """The training of a finished run that left no record of it, as the first versions did."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    result = read_result(path)
    ran = result.ran
    return Training(
        run=ran.cost.trained_in or result.id,
        seconds=ran.cost.seconds.get("train"),
        processes=ran.cost.training_processes,
        facts={
            "dataset": {"fingerprint": result.dataset.fingerprint},
            "backbone": ran.backbone.get("sha256", ""),
        },
    )
