"""What the tests of trained weights call and compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """What a command gave: its results by method, and what it wrote to stderr."""

    status: int
    results: dict[str, dict[str, Any]]
    err: str


Command = Callable[..., Outcome]


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two results agree in everything that a run's surroundings do not tell."""
    loose = ("passed", "created")
    parts = [{key: value for key, value in result.items() if key not in loose} for result in (first, second)]
    for part in parts:
        part["cost"] = {k: v for k, v in part["cost"].items() if k not in ("seconds", "trained_in")}
    return parts[0] == parts[1]


def files(folder: Path) -> dict[str, bytes]:
    """Weights and samples of a run by name."""
    kept = ("*.safetensors", "samples/*.png", "matches.csv")
    return {
        str(path.relative_to(folder)): path.read_bytes() for pattern in kept for path in folder.rglob(pattern)
    }


def folder_of(tmp_path: Path, result: dict[str, Any], out: str = "runs") -> Path:
    """The folder of a run that ``command`` made."""
    return tmp_path / out / str(result["id"])


def refused(outcome: Outcome, *words: str) -> None:
    """Assert that a command ended with one line that holds ``words``, and nothing else."""
    assert outcome.status == 2, outcome.err
    assert outcome.err.count("\n") == 1
    for word in words:
        assert word in outcome.err
    assert not outcome.results
