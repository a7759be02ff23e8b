"""Which results a report is about: files, folders and patterns -> runs, each with the folder that it lies in."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from replication_bench.errors import DataError
from replication_bench.results import Result, read_result

NAME = "result.json"
UNLIKE: Any = {
    **dict.fromkeys(
        ("created", "passed", "packages", "device", "commit", "schema_version", "processes"), True
    ),
    "cost": {"seconds", "trained_in", "training_processes"},
}


class Run(NamedTuple):
    """A result and its folder, which may hold ``matches.parquet`` and ``samples``."""

    result: Result
    folder: Path


class Collection(NamedTuple):
    """What was found.

    Attributes:
        runs: in the order of the paths given, each result once.
        unfinished: folders of runs without a result.
    """

    runs: tuple[Run, ...]
    unfinished: tuple[Path, ...]


def collect(paths: Sequence[str | Path]) -> Collection:
    """Every result behind ``paths``: files, folders (searched with their subfolders) and patterns like ``runs/*``.

    Raises:
        DataError: nothing is there, a result cannot be read, or two results share an id and a device and differ.
    """
    runs: dict[tuple[str, str], Run] = {}
    unfinished: list[Path] = []
    for path in expand(paths):
        if path.name == "config.json":
            unfinished.append(path.parent)
        else:
            add(runs, Run(read_result(path), path.parent))
    if not runs:
        raise DataError(
            "there are no results",
            where=", ".join(map(str, paths)) or "no path",
            got=f"{len(unfinished)} unfinished runs" if unfinished else None,
            hint=f"A finished run has a {NAME}; to finish one, run the same command again.",
        )
    return Collection(tuple(runs.values()), tuple(unfinished))


def expand(paths: Sequence[str | Path]) -> Iterator[Path]:
    """The ``result.json`` of every run, and the ``config.json`` of those that have none.

    Raises:
        DataError: a path that is not there.
    """
    for text in map(str, paths):
        found = [Path(text)] if Path(text).exists() else sorted(map(Path, glob.glob(text, recursive=True)))
        if not found:
            raise DataError("no such file or folder", where=text, hint="Name results, or folders of runs.")
        for path in found:
            yield from [path] if path.is_file() else inside(path)


def inside(folder: Path) -> Iterator[Path]:
    """The runs in a folder and below it."""
    for config in sorted({path.parent for name in (NAME, "config.json") for path in folder.rglob(name)}):
        if (config / NAME).is_file():
            yield config / NAME
        elif (config / "train").is_dir() or (config / "seconds.json").is_file():
            yield config / "config.json"  # a run and no model folder, which has a config.json of its own


def add(runs: dict[tuple[str, str], Run], run: Run) -> None:
    """Keep the run; of two copies of one result the one that still has its matches.

    An id says nothing of the device, and two devices differ in the last bits: what ran on both are two runs.

    Raises:
        DataError: another result of the same id and device.
    """
    key = run.result.id, str(run.result.device)
    before = runs.setdefault(key, run)
    if content(before.result) != content(run.result):
        raise DataError(
            f"two results are called '{run.result.id}' and differ",
            where=before.folder / NAME,
            got=f"another in {run.folder / NAME}",
            want="one of them",
            hint="Leave one out.",
        )
    if not (before.folder / "matches.parquet").exists():
        runs[key] = run


def content(result: Result) -> dict[str, object]:
    """A result without what may differ between two runs of one configuration."""
    return result.model_dump(mode="json", exclude=UNLIKE)
