"""``replbench data prepare``, and ``run --prepare``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from replication_bench import plugins
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.config import apply_setting
from replication_bench.data.laion.manifest import Row
from replication_bench.data.laion.place import folder_for, remember
from replication_bench.data.laion.prepare import Prepared, prepare
from replication_bench.data.laion.request import preparation
from replication_bench.errors import ConfigError, DataError, did_you_mean
from replication_bench.resolve import Request as Typed
from replication_bench.resolve import base_table, dataset_table

SHOWN = 20
PREFIX = "prepare."
PREPARED = ("laion-subset",)


@dataclass(frozen=True)
class Request:
    """What was typed.

    Attributes:
        dataset: its name.
        settings: by name, see ``Preparation``; None where nothing was typed.
        out: the folder; None for one in the cache.
        manifest: of another machine.
        retry: whether dead links are fetched again.
    """

    dataset: str
    settings: dict[str, Any] = field(default_factory=dict)
    out: Path | None = None
    manifest: Path | None = None
    retry: bool = False


def make(request: Request, console: Console) -> Prepared:
    """Prepare and remember where.

    Raises:
        ReplbenchError: see ``prepare``; a dataset that needs no preparation.
    """
    if request.dataset not in PREPARED:
        plugins.find("datasets", request.dataset)
        hint = did_you_mean(request.dataset, PREPARED)
        raise ConfigError(f"the dataset '{request.dataset}' needs no preparation", hint=hint)
    asked = preparation({name: value for name, value in request.settings.items() if value is not None})
    out = request.out or folder_for(asked, request.manifest)
    with new_progress(console) as progress:
        done = prepare(asked, out, Bars(progress).step, given=request.manifest, retry=request.retry)
    remember(out)
    return done


def split_settings(
    dataset: str | None, recipe: str | None, metadata: Sequence[str], settings: Sequence[str], wanted: bool
) -> tuple[Request | None, tuple[str, ...]]:
    """For ``run``: what is to be prepared first, None for nothing, and the settings that are the run's.

    Args:
        dataset: as typed.
        recipe: as typed; it names the dataset where ``dataset`` does not.
        metadata: parquet files of links.
        settings: all of ``--set``; those of ``prepare.`` are the preparation's.
        wanted: ``--prepare``.

    Raises:
        ConfigError: something to prepare from without ``--prepare``; an unknown recipe.
    """
    own = [setting for setting in settings if setting.startswith(PREFIX)]
    if not wanted:
        if metadata or own:
            raise ConfigError(
                "nothing is prepared without --prepare", got=(*metadata, *own)[0], want="--prepare"
            )
        return None, tuple(settings)
    table: dict[str, Any] = {PREFIX[:-1]: {}}
    for setting in own:
        apply_setting(table, setting)
    options = {**table[PREFIX[:-1]], **({"metadata": tuple(metadata)} if metadata else {})}
    named = named_dataset(dataset, recipe, settings)
    path = named.get("options", {}).get("path", "")
    request = Request(named["name"], options, Path(path) if path else None)
    return request, tuple(setting for setting in settings if setting not in own)


def named_dataset(dataset: str | None, recipe: str | None, settings: Sequence[str]) -> dict[str, Any]:
    """The section ``dataset`` of the run that was typed, as far as it says something."""
    table = base_table(Typed(dataset=dataset, recipe=recipe))
    found = {"dataset": table.get("dataset", {}) if dataset is None else dataset_table(dataset, table)}
    for setting in settings:
        if setting.startswith("dataset."):
            apply_setting(found, setting)
    return {"name": "openmoji", **found["dataset"]}


def prepare_first(request: Request, console: Console) -> None:
    """For ``run``: prepare and tell what happened.

    Raises:
        ReplbenchError: see ``prepare``; images of an earlier preparation are missing.
    """
    done = make(request, console)
    for line in lines(done):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    check_lost(done.lost, done)


def lines(done: Prepared) -> list[str]:
    """What happened, for people."""
    facts = done.manifest.facts
    told = [f"{facts['arrived']:,} of {facts['picked']:,} links gave an image"]
    told += [f"  {count:,} dead: {reason}" for reason, count in list(facts["reasons"].items())[:SHOWN]]
    told += [f"filter not applied: {name} ({why})" for name, why in facts["not_applied"].items()]
    splits = [row.split for row in done.manifest.arrived]
    told += [f"{splits.count('train'):,} for training, {splits.count('heldout'):,} held out"]
    return [*told, f"fingerprint {facts['fingerprint']}", str(done.folder)]


def check_lost(lost: Sequence[Row], done: Prepared) -> None:
    """Refuse to call a subset the manifest's where images of it are not there.

    Raises:
        DataError: some are not.
    """
    if lost:
        raise DataError(
            f"{len(lost)} images are not those of the manifest, so results do not compare with it",
            where=done.folder,
            got=f"fingerprint {done.manifest.facts['fingerprint'][:12]}",
            want=done.expected[:12],
            hint="Run the same command to fetch them again; what matches is kept and loads as another dataset.",
        )


def run(request: Request, as_json: bool) -> None:
    """Prepare, then tell what arrived and what is dead; JSON on standard output with ``as_json``."""
    done = make(request, Console(stderr=True))
    if as_json:
        lost = [{"id": row.id, "url": row.url, "reason": row.reason} for row in done.lost]
        facts = {"folder": str(done.folder), **done.manifest.facts, "differs": lost}
        sys.stdout.write(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    else:
        for line in (*lines(done), *(f"differs: {row.url}: {row.reason}" for row in done.lost)):
            Console(soft_wrap=True).print(line, markup=False, highlight=False)
    check_lost(done.lost, done)
