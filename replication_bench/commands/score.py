"""``replbench score``: every number that feature arrays alone can give."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replication_bench import machine
from replication_bench.arrays import Arrays, read_arrays
from replication_bench.commands.progress import Bars, new_progress
from replication_bench.errors import ConfigError
from replication_bench.evidence import build_evidence, unit_rows
from replication_bench.metrics import Evidence, all_metrics
from replication_bench.metrics.metric import Features
from replication_bench.results import DatasetRecord, Measurement, Result
from replication_bench.seeds import Seeds
from replication_bench.statistics.measuring import Step, measure

EMBEDDER = "features"
ARROWS = {"up": "↑", "down": "↓", "zero": "→0", "reference": ""}
NOTE = "features as given: nothing is known of the embedder, so compare only with scores of the same features"


@dataclass(frozen=True)
class Asked:
    """What was typed.

    Raises:
        ConfigError: a number that cannot be meant.
    """

    generated: Path
    train: Path
    heldout: Path | None = None
    k: int = 5
    seed: int = 0
    bootstrap: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError("too few neighbours", where="--k", got=self.k, want="at least 1")
        if self.bootstrap < 0:
            raise ConfigError("too few draws", where="--bootstrap", got=self.bootstrap, want="0 or more")
        if not 0 < self.confidence < 1:
            raise ConfigError(
                "the confidence is no share",
                where="--confidence",
                got=self.confidence,
                want="between 0 and 1",
            )


def evidence_of(arrays: Arrays, k: int, step: Step) -> Evidence:
    """Cosines on unit rows; distances between distributions on the features as they are."""
    units = [unit_rows(rows) for rows in arrays]
    return build_evidence(*units, features=Features(*arrays), neighbours=k, step=step)


def score(asked: Asked, step: Step) -> Result:
    """Read, search, measure.

    Raises:
        DataError: arrays that cannot be used.
    """
    arrays = read_arrays(asked.generated, asked.train, asked.heldout, asked.k)
    evidence = evidence_of(arrays, asked.k, step)
    protocol = f"{EMBEDDER}-{arrays.train.shape[1]}"
    measurements = measure(
        all_metrics(),
        evidence,
        seeds=Seeds(asked.seed),
        resamples=asked.bootstrap,
        confidence=asked.confidence,
        embedder=EMBEDDER,
        protocol=protocol,
        step=step,
    )
    return as_result(asked, arrays, protocol, measurements)


def as_result(asked: Asked, arrays: Arrays, protocol: str, measurements: Sequence[Measurement]) -> Result:
    """The record of a score; it has no method, backbone or cost."""
    fingerprint = arrays.fingerprint
    paths = {name: getattr(asked, name) for name in ("generated", "train", "heldout")}
    numbers = {name: getattr(asked, name) for name in ("bootstrap", "confidence")}
    return Result(
        kind="score",
        id=f"score-{fingerprint[:8]}",
        fingerprint=fingerprint,
        config={"k": asked.k, "measure": numbers},
        passed={name: str(path) for name, path in paths.items() if path is not None},
        dataset=DatasetRecord(
            name="arrays",
            fingerprint=arrays.dataset_fingerprint,
            train=len(arrays.train),
            heldout=len(arrays.heldout),
            note=NOTE,
        ),
        embedder={"name": EMBEDDER, "dim": arrays.train.shape[1]},
        protocol=protocol,
        seed=asked.seed,
        measurements=tuple(measurements),
        packages=machine.package_versions(),
        commit=machine.commit(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def number(value: float) -> str:
    """Five digits; exactly zero is '0'."""
    return "0" if value == 0 else f"{value:.5g}"


def table_of(result: Result) -> Table:
    """What was measured, one line a metric."""
    share = result.config["measure"]["confidence"]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for header in ("value", f"{100 * share:g} % interval", "n"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("unit")
    for m in result.measurements:
        if m.value is not None:
            between = "" if m.low is None or m.high is None else f"[{number(m.low)}, {number(m.high)}]"
            name = f"{m.name} {ARROWS[m.better]}".strip()
            table.add_row(*map(Text, (name, number(m.value), between, str(m.n), m.unit)))
    return table


def lines_below(result: Result) -> list[str]:
    """Warnings, then what was not measured: one line a text, with the metrics it belongs to."""
    notes: dict[str, list[str]] = {}
    reasons: dict[str, list[str]] = {}
    for m in result.measurements:
        if m.note is not None:
            notes.setdefault(m.note, []).append(m.name)
        if m.reason is not None:
            reasons.setdefault(m.reason, []).append(m.name)
    told = [f"{', '.join(names)}: {note}" for note, names in notes.items()]
    return told + [f"not measured: {', '.join(names)}: {reason}" for reason, names in reasons.items()]


def run(asked: Asked, as_json: bool) -> None:
    """Score, then print the table or the JSON."""
    with new_progress(Console(stderr=True)) as progress:
        result = score(asked, Bars(progress).step)
    if as_json:
        sys.stdout.write(json.dumps(result.model_dump(mode="json"), indent=1, allow_nan=False) + "\n")
        return
    console = Console()
    console.print(table_of(result))
    for line in lines_below(result):
        console.print(Text(line, "dim"))
    console.print(Text(NOTE, "dim"))
