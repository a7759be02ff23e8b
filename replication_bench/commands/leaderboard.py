"""``replbench leaderboard``: the table of results, in the terminal or as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from replication_bench import plugins
from replication_bench.errors import ConfigError, did_you_mean

FORMATS = ("table", "md", "csv", "tex", "json")


def show(paths: Sequence[str], form: str, **options: Any) -> None:
    """Print every board; ``options`` are those of the reporter's ``tables``.

    Raises:
        ReplbenchError: no results, unlike results forced together, an unknown column, reference or format.
    """
    if form not in FORMATS:
        raise ConfigError(f"unknown format '{form}'", where="--format", hint=did_you_mean(form, FORMATS))
    reporter = plugins.load("reporters", "leaderboard")()
    tables = reporter.tables(paths, **options)
    if form == "table":
        Console().print(reporter.render(tables))
    else:
        sys.stdout.write(reporter.text(tables, form))
