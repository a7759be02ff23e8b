"""``replbench corpus``: embed shards of images, then merge them into one index."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from replication_bench.audit.embedders import build_embedder, choose_embedder
from replication_bench.audit.index import check_alone, is_corpus, is_index
from replication_bench.commands.progress import new_progress
from replication_bench.config import parse_value
from replication_bench.corpus import (
    Outcome,
    ShardJob,
    find_shards,
    finished,
    merge,
    run_local,
    run_ray,
)
from replication_bench.corpus.merge import IDS
from replication_bench.corpus.shard import read_shard_facts
from replication_bench.embedders.pool import check_workers
from replication_bench.errors import ConfigError, DataError, did_you_mean
from replication_bench.search import KINDS, Index, open_index, own_recall, record_recall
from replication_bench.search.files import FACTS, STRUCTURE, VECTORS
from replication_bench.store import LEFT, check_writable, locked

DTYPES = ("float16", "float32")
OWN = (".lock", "shards", FACTS, IDS, STRUCTURE, VECTORS)
SHOWN = 5


@dataclass(frozen=True)
class Request:
    """What was typed.

    Attributes:
        shards: tars, or folders of them.
        out: the index.
        embedder: ``NAME[@PROTOCOL][,key=value ...]``.
        options: ``key=value`` for the embedder.
        workers: processes, or actors with ``ray``; None for one, or one a CPU.
        ray: whether Ray Data runs the workers.
        gpus: GPUs that each actor reserves.
        kind: of the index.
        dtype: of the stored vectors.
        allow_missing: whether shards that cannot be read are left out of the index.
    """

    shards: tuple[str, ...]
    out: Path
    embedder: str = "sscd"
    options: tuple[str, ...] = ()
    workers: int | None = None
    ray: bool = False
    gpus: float = 0
    kind: str = "exact"
    dtype: str = "float16"
    allow_missing: bool = False

    def check(self) -> None:
        """ConfigError for a value that cannot be meant."""
        for word, known in ((self.kind, KINDS), (self.dtype, DTYPES)):
            if word not in known:
                raise ConfigError(f"unknown value '{word}'", hint=did_you_mean(word, known))
        check_workers(self.workers)
        if self.gpus and not self.ray:
            raise ConfigError("only Ray reserves GPUs", where="--gpus", got=self.gpus, want="--ray beside it")


def parsed_options(options: Sequence[str]) -> dict[str, Any]:
    """``key=value`` pairs as keyword arguments; ConfigError where there is no '='."""
    table: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise ConfigError("an option is key=value", where="--option", got=option, want="as pixels=320")
        table[key] = parse_value(value)
    return table


def embed_missing(request: Request, jobs: Sequence[ShardJob], make: Any, progress: Progress) -> list[Outcome]:
    """Embed the shards that have no vectors yet, with a bar of shards and the images done."""
    bar = progress.add_task("embed shards", total=len(jobs), note="")
    drive: Iterator[Outcome] = (
        run_ray(jobs, make, request.workers, request.gpus)
        if request.ray
        else run_local(jobs, make, request.workers or 1)
    )
    outcomes = []
    for outcome in drive:
        outcomes.append(outcome)
        done = sum(one.rows for one in outcomes)
        progress.update(bar, advance=1, note=f"{done:,} images")
    return outcomes


def check_outcomes(outcomes: Sequence[Outcome], allow_missing: bool) -> list[str]:
    """The names of shards without vectors.

    Raises:
        DataError: there are some, and they were not allowed; what the others gave is kept.
    """
    failed = [outcome for outcome in outcomes if outcome.error]
    if failed and not allow_missing:
        raise DataError(
            f"{len(failed)} of {len(outcomes)} shards gave no vectors; first: {failed[0].error.rstrip('.')}",
            hint="Then run the same command, or leave them out with --allow-missing.",
        )
    return sorted(outcome.shard for outcome in failed)


def still_valid(request: Request, folders: Sequence[Path], protocol: str) -> Index | None:
    """The index that is there, if it was merged from just these shards; None otherwise."""
    try:
        index = open_index(request.out)
    except DataError:
        return None
    names = [shard["shard"] for shard in index.facts.extra.get("shards", [])]
    same = (
        names == [folder.name for folder in folders]
        and index.facts.kind == request.kind
        and index.facts.dtype == request.dtype
        and index.facts.protocol.get("hash") == protocol
    )
    return index if same else None


def check_place(out: Path) -> None:
    """Refuse to make an index among files that are not its own: pictures beside one could not be named any more.

    Raises:
        StoreError: the folder holds something else, or the index of one source.
    """
    names = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    strange = [name for name in names if name not in OWN and not LEFT.fullmatch(name)]
    if is_index(out) and not is_corpus(out):
        strange.insert(0, "an index of one source")
    check_alone(out, strange)


def build(request: Request, console: Console) -> tuple[Index, list[Outcome], float]:
    """Embed what is missing and merge: the index, the outcomes of this call, and its seconds.

    Raises:
        ReplbenchError: input that cannot be used; a full disk.
    """
    request.check()
    shards = find_shards(request.shards)
    check_writable(request.out)
    check_place(request.out)
    chosen, embedder = choose_embedder(request.embedder, {}, parsed_options(request.options))
    make, protocol = partial(build_embedder, chosen), embedder.protocol.hash
    start = time.monotonic()
    with locked(request.out), new_progress(console) as progress:
        parts = request.out / "shards"
        jobs = [
            ShardJob(shard, parts, request.dtype)
            for shard in shards
            if not finished(shard, parts, protocol, request.dtype)
        ]
        with redirect_stdout(sys.stderr):  # Ray speaks there, and --json is to be all of standard output
            outcomes = embed_missing(request, jobs, make, progress)
        missing = check_outcomes(outcomes, request.allow_missing)
        folders = [parts / shard.stem for shard in shards if shard.stem not in missing]
        index = None if any(not one.error for one in outcomes) else still_valid(request, folders, protocol)
        if index is None:
            rows = sum((read_shard_facts(folder) or {}).get("rows", 0) for folder in folders)
            bar = progress.add_task("merge vectors", total=rows, note="")
            index = merge(
                folders,
                request.out,
                request.kind,
                missing=missing,
                embedder=chosen.model_dump(),
                progress=lambda done: progress.update(bar, completed=done),
            )
        if index.facts.kind != "exact" and index.facts.recall is None and index.facts.rows > 1:
            index = record_recall(index, own_recall(index))
    return index, outcomes, time.monotonic() - start


def summary(index: Index, outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """What ``--json`` prints."""
    embedded = sum(outcome.rows for outcome in outcomes)
    return {
        "out": str(index.folder),
        "kind": index.facts.kind,
        "rows": index.facts.rows,
        "dim": index.facts.dim,
        "dtype": index.facts.dtype,
        "protocol": dict(index.facts.protocol),
        "shards": len(index.facts.extra["shards"]),
        "missing": index.facts.extra["missing"],
        "skipped": skipped(index),
        "embedded_now": embedded,
        "recall": None if index.facts.recall is None else dict(index.facts.recall),
        "seconds": round(seconds, 3),
        "images_per_worker_second": round(embedded / spent, 2)
        if (spent := worker_seconds(outcomes))
        else None,
    }


def worker_seconds(outcomes: Sequence[Outcome]) -> float:
    """Seconds that workers spent, added up."""
    return sum(outcome.seconds for outcome in outcomes)


def skipped(index: Index) -> list[dict[str, str]]:
    """Every sample that is not in the index, with the reason; a shard without samples under the key ``*``."""
    found = []
    for shard in index.facts.extra["shards"]:
        if not shard["rows"] and not shard["skipped"]:
            found.append({"shard": shard["shard"], "key": "*", "reason": "no samples"})
        facts = read_shard_facts(index.folder / "shards" / shard["shard"]) or {}
        found += [{"shard": shard["shard"], **one} for one in facts.get("skipped", [])]
    return found


def show(facts: dict[str, Any], console: Console) -> None:
    """A few lines for people."""
    console.print(
        f"{facts['rows']:,} vectors of {facts['dim']} ({facts['dtype']}, {facts['protocol']['name']}) "
        f"from {facts['shards']} shards; {facts['embedded_now']:,} embedded now in {facts['seconds']:.1f} s",
        highlight=False,
    )
    if recall := facts["recall"]:
        low, high = recall["interval"]
        console.print(
            f"recall@{recall['k']} of {facts['kind']}: {recall['value']:.3f} [{low:.3f}, {high:.3f}], "
            f"{recall['queries']} of its own rows against exact search",
            highlight=False,
        )
    left_out = [f"{one['shard']}/{one['key']}: {one['reason']}" for one in facts["skipped"]]
    left_out += [f"{name}: the whole shard" for name in facts["missing"]]
    if left_out:
        more = f"; and {len(left_out) - SHOWN:,} more (--json lists all)" if len(left_out) > SHOWN else ""
        console.print(f"left out: {'; '.join(left_out[:SHOWN])}{more}", style="yellow", highlight=False)
    console.print(facts["out"], style="dim", highlight=False)


def run(request: Request, as_json: bool) -> None:
    """Embed, merge, print."""
    index, outcomes, seconds = build(request, Console(stderr=True))
    facts = summary(index, outcomes, seconds)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=1) + "\n")
    else:
        show(facts, Console(soft_wrap=True))
