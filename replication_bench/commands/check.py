"""``replbench check``: does a method keep the contract?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from replication_bench.config import Options, apply_setting, flatten, validate
from replication_bench.errors import ConfigError, PluginError
from replication_bench.resolve import build_method, method_parts
from replication_bench.testing import Case, CheckFailed, load_backbone, method_checks, slim_backbone
from replication_bench.testing.checks import Check


class Verdict(NamedTuple):
    """One check of one method; ``failure`` is None where it holds."""

    check: str
    failure: str | None


def method_options(part: str, settings: Sequence[str]) -> dict[str, Options]:
    """The options of ``--set``, which may concern the method ``part`` alone.

    Raises:
        ConfigError: no ``key=value``, or a key of something else.
    """
    table: dict[str, Any] = {}
    for setting in settings:
        apply_setting(table, setting)
    for key in flatten(table):
        if not key.startswith(f"methods.{part}."):
            raise ConfigError(
                "not of the method that is checked", where="--set", got=key, want=f"methods.{part}.KEY=VALUE"
            )
    return validate(table, "--set").methods


def verdicts(name: str, skip: Collection[str] = (), settings: Sequence[str] = ()) -> Iterator[Verdict]:
    """Run the checks on the method ``name`` with ``settings``, on a small random backbone; all but ``skip``.

    Raises:
        PluginError: no such method, or a composition.
        ConfigError: no such check to skip, or options that cannot be meant.
    """
    part, *more = method_parts(name)
    if more:
        raise PluginError("a composition has no contract of its own", got=name, want="one method at a time")
    method, _ = build_method(part, method_options(part, settings))
    checks = method_checks(skip)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(method, load_backbone(slim_backbone(folder)))
        for check in checks:
            yield Verdict(check.__name__, failure(check, case))


def failure(check: Check, case: Case) -> str | None:
    """What a check has to say; None where it holds."""
    try:
        check(case)
    except CheckFailed as error:
        return str(error).removeprefix(f"{check.__name__}: ")
    return None


def run(name: str, as_json: bool, skip: Collection[str] = (), settings: Sequence[str] = ()) -> None:
    """Print every verdict; exit status 1 where one check fails."""
    console, found = Console(), []
    for verdict in verdicts(name, skip, settings):
        found.append(verdict)
        if not as_json:
            mark = Text("holds  ", "green") if verdict.failure is None else Text("broken ", "red")
            console.print(mark, Text(": ".join(filter(None, verdict))))
    if as_json:
        sys.stdout.write(json.dumps([verdict._asdict() for verdict in found], indent=1) + "\n")
    if any(verdict.failure for verdict in found):
        sys.exit(1)
