"""What ``--from`` names: a fine-tuned model that is sampled and not trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from replication_bench.config import RunConfig
from replication_bench.errors import DataError
from replication_bench.resolve import Request
from replication_bench.trained.foreign import INDEX, ForeignPipeline
from replication_bench.trained.opening import CONFIG, open_parent

if TYPE_CHECKING:
    from replication_bench.pipeline import Run
    from replication_bench.workbench import Workbench

SHOWN = 4


class Origin(Protocol):
    """A fine-tuned model."""

    def resolve(self, request: Request) -> tuple[list[RunConfig], str]:
        """The runs that sample it, the reference first, and the reference's name.

        Raises:
            ReplbenchError: a method that trains, or a value that contradicts the model's training.
        """
        ...

    def check(self, bench: Workbench) -> None:
        """Refuse data and a backbone that are not those of the training.

        Raises:
            ReplbenchError: one line.
        """
        ...

    def lend(self, run: Run) -> None:
        """Give a run its weights.

        Raises:
            ReplbenchError: they are missing or damaged.
        """
        ...


def open_origin(folder: Path) -> Origin:
    """The model in ``folder``: of a run, or a diffusers pipeline.

    Raises:
        DataError: there is neither, or a run that is not trained to its end.
    """
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing there"
        raise DataError(
            "--from takes a folder", where=folder, got=got, want="a run's, or a diffusers pipeline's"
        )
    if (folder / INDEX).is_file():
        return ForeignPipeline(folder)
    if (folder / CONFIG).is_file():
        return open_parent(folder)
    raise DataError(
        "--from names neither a run nor a pipeline",
        where=folder,
        got=contents(folder),
        want=f"the {CONFIG} of a run, or the {INDEX} of a diffusers Stable Diffusion",
        hint=next_step(folder),
    )


def contents(folder: Path) -> str:
    """The first names in a folder."""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "an empty folder"


def next_step(folder: Path) -> str:
    """A run in a folder of runs, or how to come to a folder that can be used."""
    inside = sorted(path.parent for name in (CONFIG, INDEX) for path in folder.glob(f"*/{name}"))
    if inside:
        return f"Name one of the folders in it, for example {inside[0]}."
    return "Name a folder that replbench run wrote, or one of a pipeline's save_pretrained."
