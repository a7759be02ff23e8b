"""``replbench duplicates``: groups of near-duplicates in one set of images."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replication_bench.audit.embedding import embedding
from replication_bench.audit.index import Index
from replication_bench.audit.indexing import cached_index
from replication_bench.audit.request import choose_embedders, measure_settings, open_place
from replication_bench.audit.steps import force_or_refuse
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.duplicates import Alike, check_threshold, find_alike
from replication_bench.embedders.pool import check_workers
from replication_bench.errors import ConfigError
from replication_bench.store import write_atomic

SHOWN, MEMBERS = 20, 3
FORMS = (".json", ".csv")


def groups_of(index: Index, alike: Alike) -> list[dict[str, Any]]:
    """Groups of two or more, the largest first; each member with its similarity to its nearest other image."""
    return [
        {
            "group": number,
            "size": len(rows),
            "members": [
                {"id": index.rows[row].id, "nearest_other": round(float(alike.closest[row]), 4)}
                for row in rows
            ],
        }
        for number, rows in enumerate(alike.groups(), 1)
    ]


def report_of(index: Index, alike: Alike) -> dict[str, Any]:
    """Everything that was found, ready for JSON."""
    groups = groups_of(index, alike)
    return {
        "path": index.facts.source,
        "images": len(index.rows),
        "skipped": [{"id": id, "reason": reason} for id, reason in index.facts.skipped],
        "notes": list(index.facts.notes),
        "threshold": alike.threshold,
        "embedder": index.facts.embedder["name"],
        "protocol": index.facts.protocol["name"],
        "protocol_hash": index.facts.protocol_hash,
        "repeated": sum(group["size"] for group in groups),
        "groups": groups,
    }


def as_csv(report: dict[str, Any]) -> str:
    """One line a member."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("group", "size", "id", "nearest_other"))
    for group in report["groups"]:
        for member in group["members"]:
            writer.writerow((group["group"], group["size"], member["id"], member["nearest_other"]))
    return buffer.getvalue()


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write ``.json`` or ``.csv``."""
    text = (
        as_csv(report) if path.suffix == ".csv" else json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    )
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def table_of(report: dict[str, Any]) -> Table:
    """The largest groups."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("group", justify="right")
    table.add_column("size", justify="right")
    table.add_column("members")
    for group in report["groups"][:SHOWN]:
        ids = [member["id"] for member in group["members"]]
        more = f" and {len(ids) - MEMBERS} more" if len(ids) > MEMBERS else ""
        table.add_row(str(group["group"]), str(group["size"]), Text(", ".join(ids[:MEMBERS]) + more))
    return table


def show(report: dict[str, Any], console: Console) -> None:
    """What was found, for people."""
    groups, images = report["groups"], report["images"]
    if groups:
        console.print(table_of(report))
    if len(groups) > SHOWN:
        console.print(
            f"... and {len(groups) - SHOWN} more groups; --json or --out shows all", highlight=False
        )
    line = (
        f"{report['repeated']} of {images} images are in {len(groups)} groups of near-duplicates "
        f"(similarity above {report['threshold']:g}, {report['protocol']})"
    )
    console.print(line, highlight=False, soft_wrap=True)
    for one in report["skipped"]:
        console.print(f"skipped {one['id']}: {one['reason']}", markup=False, highlight=False, soft_wrap=True)
    for note in report["notes"]:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def make_report(
    path: str, embedder: str | None, threshold: float, settings: Sequence[str], workers: int = 1
) -> dict[str, Any]:
    """Embed what is new, then group.

    Raises:
        ReplbenchError: see ``open_place``, ``choose_embedders`` and ``find_alike``.
    """
    place = open_place(path)
    chosen = choose_embedders((embedder,) if embedder else (), measure_settings(tuple(settings)), [place])[0]
    with new_progress(Console(stderr=True)) as progress:
        step = Bars(progress).step
        if isinstance(place, Index):
            force_or_refuse(place, chosen, force=False)
            index = place
        else:
            advance = step(f"{chosen.options.name}: embed", len(place.entries))
            with embedding(chosen.options, chosen.embedder, workers) as embed:
                index = cached_index(place, chosen.options, chosen.embedder, advance, embed)
        alike = find_alike(np.asarray(index.vectors), threshold, step("compare", len(index.rows)))
    return report_of(index, alike)


def run(
    path: str,
    embedder: str | None,
    threshold: float,
    settings: Sequence[str],
    out: Path | None,
    as_json: bool,
    workers: int = 1,
) -> None:
    """Find, write, print."""
    check_threshold(threshold, "--threshold")
    check_workers(workers)
    if out is not None and out.suffix not in FORMS:
        raise ConfigError("an unknown kind of file", where="--out", got=out.name, want=" or ".join(FORMS))
    report = make_report(path, embedder, threshold, settings, workers)
    if out is not None:
        write_report(out, report)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        return
    show(report, Console())
