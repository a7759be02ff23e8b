"""``replbench check``: does a method keep the contract?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from replication_bench.errors import PluginError
from replication_bench.resolve import build_method, method_parts
from replication_bench.testing import Case, CheckFailed, load_backbone, method_checks, tiny_backbone


class Verdict(NamedTuple):
    """One check of one method; ``failure`` is None where it holds."""

    check: str
    failure: str | None


def verdicts(name: str) -> Iterator[Verdict]:
    """Run every check on the method ``name`` with its defaults, on a small random backbone.

    Raises:
        PluginError: no such method, or a composition.
    """
    if len(method_parts(name)) > 1:
        raise PluginError("a composition has no contract of its own", got=name, want="one method at a time")
    method, _ = build_method(name, {})
    with tempfile.TemporaryDirectory() as folder:
        backbone = load_backbone(tiny_backbone(folder))
    for check in method_checks():
        try:
            check(Case(method, backbone))
        except CheckFailed as error:
            yield Verdict(check.__name__, str(error).removeprefix(f"{check.__name__}: "))
        else:
            yield Verdict(check.__name__, None)


def run(name: str, as_json: bool) -> None:
    """Print every verdict; exit status 1 where one check fails."""
    console, found = Console(), []
    for verdict in verdicts(name):
        found.append(verdict)
        if not as_json:
            mark = Text("holds  ", "green") if verdict.failure is None else Text("broken ", "red")
            console.print(mark, Text(": ".join(filter(None, verdict))))
    if as_json:
        sys.stdout.write(json.dumps([verdict._asdict() for verdict in found], indent=1) + "\n")
    if any(verdict.failure for verdict in found):
        sys.exit(1)
