"""Runs of equal training train once: whoever comes later gets the weights as files of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replication_bench.store import link
from replication_bench.trained.record import NAME, Training, finished_training, read_training, write_training

if TYPE_CHECKING:
    from replication_bench.training import StageJob


def take_weights(source: Path, training: Training, folder: Path, jobs: Sequence[StageJob]) -> None:
    """Bring the weights of ``training`` from the run's folder ``source`` into ``folder``, the record last.

    Raises:
        FileNotFoundError: a stage has no weights in ``source``.
    """
    pairs = [(source / "train" / job.stage.name / job.final.name, job) for job in jobs]
    for path, _ in pairs:
        if not path.exists():  # all or none: a training has one record
            raise FileNotFoundError(path)
    for path, job in pairs:
        link(path, job.final)
        job.checkpoint.unlink(missing_ok=True)
    write_training(folder, training)


def lenders(out: Path, jobs: Sequence[StageJob], facts: dict[str, Any]) -> Iterator[tuple[Path, Training]]:
    """Runs in ``out`` that hold the weights of a training of equal facts."""
    for path in sorted(out.glob(f"*/train/{NAME}")):
        training = read_training(path)
        if training is None or training.facts != facts:
            continue
        if all((path.parent / job.stage.name / job.final.name).exists() for job in jobs):
            yield path.parent.parent, training


def share(out: Path, folder: Path, jobs: Sequence[StageJob], facts: dict[str, Any]) -> Training | None:
    """The training whose weights ``folder`` holds, taken from another run in ``out`` where one has equal facts.

    Returns:
        None where nobody has trained this yet.
    """
    own = finished_training(folder, jobs)
    if own is not None:
        return own
    for source, training in lenders(out, jobs, facts):
        try:
            take_weights(source, training, folder, jobs)
        except FileNotFoundError:
            continue  # somebody removed that run
        return training
    return None
