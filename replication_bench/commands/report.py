"""``replbench report``: finished runs -> one page, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from replication_bench import plugins


def build(paths: Sequence[str], out: Path, **options: Any) -> None:
    """Build the report and print where it lies.

    Raises:
        ReplbenchError: no results, unlike results forced together, an unknown column, an unwritable folder, flags
            that contradict each other.
    """
    stderr = Console(stderr=True)
    reporter = plugins.load("reporters", "report")()
    with stderr.status("starting") as status:
        written = reporter.build(paths, out, watch=status.update, **options)
    page = written[0]
    if options.get("show_training_images"):
        stderr.print("The page contains training images and captions: do not share it.", style="yellow")
    size = page.stat().st_size / 1e6
    Console().print(f"{page} ({size:.1f} MB) and {len(written) - 1} files", highlight=False, soft_wrap=True)
