"""Accelerate's trackers: losses while a run trains, then its samples and its measurements."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from replication_bench.config import flatten
from replication_bench.errors import ConfigError, did_you_mean
from replication_bench.results import Result

if TYPE_CHECKING:
    from replication_bench.pipeline import Watcher

TRACKERS = ("none", "tensorboard", "wandb", "mlflow")
PROJECT = "replbench"  # where wandb and MLflow put all runs side by side
ACROSS = 8
SAMPLES = 32


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown or not installed, before anything is trained.

    Raises:
        ConfigError: names the package that is missing.
    """
    if name not in TRACKERS:
        raise ConfigError(f"unknown tracker '{name}'", where="--track", hint=did_you_mean(name, TRACKERS))
    if name == "none":
        return
    from accelerate.tracking import get_available_trackers

    if name not in {str(getattr(found, "value", found)) for found in get_available_trackers()}:
        raise ConfigError(
            f"the tracker '{name}' is not installed", where="--track", hint=f"pip install {name}"
        )


class Tracked:
    """A watcher that sends losses to a tracker, and at the end samples and measurements.

    Args:
        name: ``tensorboard``, ``wandb`` or ``mlflow``.
        run_id: the run's name in the tracker.
        folder: where TensorBoard writes; the others go where their own environment variables say, or else into the
            working directory.
        config: of the run; nested tables become dotted keys.
        inner: told the same.
    """

    def __init__(self, name: str, run_id: str, folder: Path, config: dict[str, Any], inner: Watcher):
        self.name, self.inner = name, inner
        self.tracker = new_tracker(name, run_id, folder)
        self.tracker.store_init_configuration(flat(config))
        self.label, self.done = "", 0
        # images of all earlier stages, and with this one: trackers want steps that grow
        self.before, self.seen = 0, 0

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """A new step."""
        pass_on = self.inner.step(name, total)
        self.label, self.done = name.rpartition(": ")[2].replace(" ", "/"), 0
        self.before = self.seen

        def advance(done: int) -> None:
            pass_on(done)
            self.done = done

        return advance

    def loss(self, value: float) -> None:
        """One loss, at the number of images seen in all stages so far."""
        self.inner.loss(value)
        self.seen = self.before + self.done
        if value == value:
            self.tracker.log({f"loss/{self.label}": value}, step=self.seen)

    def finish(self, result: Result, samples: Path) -> None:
        """Send the measurements that have a value, and a grid of samples; then close."""
        numbers = {f"metrics/{m.name}": m.value for m in result.measurements if m.value is not None}
        self.tracker.log(numbers, step=self.seen)
        paths = sorted(samples.glob("*.png"))[:SAMPLES]
        if paths:
            self.send(grid(paths))
        self.tracker.finish()

    def send(self, image: Image.Image) -> None:
        """A picture, in the way of each tracker."""
        if self.name == "tensorboard":
            self.tracker.log_images({"samples": np.asarray(image)[None]}, step=self.seen, dataformats="NHWC")
        elif self.name == "wandb":
            self.tracker.log_images({"samples": [image]})
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "samples.png"
                image.save(path)
                self.tracker.log_artifact(str(path))


def new_tracker(name: str, run_id: str, folder: Path) -> Any:
    """A started tracker.

    Raises:
        ConfigError: it cannot start, such as one without a server or a database to write to.
    """
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()  # trackers ask it which process is the first
    try:
        tracker = LOGGER_TYPE_TO_CLASS[name](**identity(name, run_id, folder))
        tracker.start()
    except Exception as error:  # each tracker has errors of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        hint = "Set it up as its own documentation says, or leave out --track."
        raise ConfigError(
            f"the tracker '{name}' does not start", where="--track", got=reason, hint=hint
        ) from error
    return tracker


def identity(name: str, run_id: str, folder: Path) -> dict[str, str]:
    """What a run is called in a tracker, and where it belongs.

    Accelerate takes the one name that it is given for wandb's project and for MLflow's experiment: every run would
    stand alone in one of its own, under a name that the tracker invents, and no two could be compared.
    """
    if name == "wandb":
        return {"run_name": os.environ.get("WANDB_PROJECT") or PROJECT, "name": run_id}
    if name == "mlflow":  # its own MLFLOW_EXPERIMENT_NAME goes before
        return {"experiment_name": PROJECT, "run_name": run_id}
    return {"run_name": run_id, "logging_dir": str(folder)}


def flat(table: dict[str, Any]) -> dict[str, Any]:
    """Dotted keys, and only values that every tracker takes."""
    return {
        key: value if isinstance(value, bool | int | float | str) else str(value)
        for key, value in flatten(table).items()
    }


def grid(paths: Sequence[Path], across: int = ACROSS) -> Image.Image:
    """Pictures in rows of ``across``, each as large as the first."""
    with Image.open(paths[0]) as first:
        width, height = first.size
    sheet = Image.new("RGB", (width * min(across, len(paths)), height * -(-len(paths) // across)), "white")
    for index, path in enumerate(paths):
        with Image.open(path) as image:
            picture = image.convert("RGB").resize((width, height))
        sheet.paste(picture, (width * (index % across), height * (index // across)))
    return sheet
