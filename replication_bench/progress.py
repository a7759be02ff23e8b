"""What a run tells about itself while it works, in a file that ``replbench watch`` reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from replication_bench.pipeline import Watcher

NAME = "progress.jsonl"


class Point(NamedTuple):
    """Where a run was at one moment.

    Attributes:
        at: seconds since the epoch.
        step: what it did.
        done: units of the step that are done.
        total: units of the step.
        loss: of the last training step; None outside training.
    """

    at: float
    step: str
    done: int
    total: int
    loss: float | None = None


class Recorder:
    """Writes a line now and then, and passes everything on to another watcher.

    Args:
        path: the file; lines are added to what earlier attempts wrote.
        inner: told the same.
        every: least seconds between two lines of one step.
    """

    def __init__(self, path: Path, inner: Watcher, every: float = 0.5):
        self.path, self.inner, self.every = path, inner, every
        self.point = Point(0, "", 0, 0)
        self.written = 0.0

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """A new step; its first and last lines are always written."""
        pass_on = self.inner.step(name, total)
        self.point = Point(time.time(), name, 0, total)
        self.write()

        def advance(done: int) -> None:
            pass_on(done)
            self.point = self.point._replace(step=name, done=done, total=total)
            if done >= total or time.time() - self.written >= self.every:
                self.write()

        return advance

    def loss(self, value: float) -> None:
        """The loss goes into the next line."""
        self.inner.loss(value)
        self.point = self.point._replace(loss=value if value == value else None)

    def write(self) -> None:
        """Add a line; a run must not fail because nobody can watch it."""
        self.written = time.time()
        line = json.dumps(self.point._replace(at=round(self.written, 2))._asdict())
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            pass


def read_points(path: Path) -> list[Point]:
    """Every whole line; one that is just being written is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Point(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found
