"""Progress bars on stderr, shared by the commands that take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """Progress bars on stderr; see ``pipeline.Watcher``."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.task: TaskID | None = None

    def step(self, name: str, total: int) -> Callable[[int], None]:
        """A new bar; returns the function that moves it."""
        task = self.task = self.progress.add_task(name, total=total, note="")

        def advance(done: int) -> None:
            self.progress.update(task, completed=done)

        return advance

    def loss(self, value: float) -> None:
        """Show the loss beside the newest bar."""
        if self.task is not None and value == value:
            self.progress.update(self.task, note=f"loss {value:.3f}")


class FromFirstBar(Progress):
    """Bars that are drawn from the first on: without a terminal rich writes an empty line for none at all."""

    def start(self) -> None:
        """Draw, once there is a bar."""
        if self.tasks:
            super().start()

    def stop(self) -> None:
        """End what was drawn."""
        if self.live.is_started:
            super().stop()

    def add_task(self, *words: Any, **more: Any) -> TaskID:
        """A new bar."""
        task = super().add_task(*words, **more)
        self.start()
        return task


def new_progress(console: Console, shown: bool = True) -> Progress:
    """Bars with counts, a note such as the loss, and elapsed time; nothing where not ``shown``."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    return FromFirstBar(*columns, console=console, disable=not shown)
