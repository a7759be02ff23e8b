"""``replbench audit``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from replication_bench import plugins
from replication_bench.audit.pictures import Opener
from replication_bench.audit.request import AuditRequest
from replication_bench.audit.steps import PAIRS, Audit
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.results import Result


def draw_pairs(audit: Audit, result: Result) -> None:
    """The sheet of the closest pairs, where a reporter of that name is installed."""
    if "pairs" not in plugins.available("reporters"):
        return
    if (audit.folder / PAIRS).exists() and not audit.fresh:
        return
    reporter = plugins.load("reporters", "pairs")()
    train, made = Opener(audit.places["train"]), Opener(audit.places["generated"])
    reporter.draw(result, audit.folder, train, audit.measure.pairs, load_made=made)


def warn_skipped(result: Result, folder: Path, console: Console) -> None:
    """A line on stderr for every set of which images were left out."""
    for images in result.images:
        if images.skipped:
            line = f"{images.role}: {images.skipped} of {images.found} skipped, listed in {folder / 'skipped.csv'}"
            console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)


def run(request: AuditRequest, out: Path | None, as_json: bool) -> None:
    """Audit, then print the table, or the result as JSON."""
    stderr = Console(stderr=True)
    progress = new_progress(stderr)
    audit = Audit(request, out, Bars(progress))  # what is at fault is told before any bar is drawn
    with progress:
        result = audit.execute()
    draw_pairs(audit, result)
    warn_skipped(result, audit.folder, stderr)
    if as_json:
        sys.stdout.write(json.dumps(result.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
        return
    console = Console()
    if "audit" in plugins.available("reporters"):
        console.print(plugins.load("reporters", "audit")().show(result, audit.folder))
    console.print(str(audit.folder), style="dim", markup=False, highlight=False, soft_wrap=True)
