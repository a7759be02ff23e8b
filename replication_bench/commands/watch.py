"""``replbench watch``: progress, losses and samples of a run while another terminal works on it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from replication_bench.errors import DataError
from replication_bench.progress import NAME, Point, read_points

BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH, TILE, ACROSS, SAMPLES = 60, 16, 6, 12


def watch(run: Path, once: bool, interval: float) -> None:
    """Show a run until it has its result; once where the output is no terminal.

    Raises:
        DataError: no run lies there.
    """
    folder, console = find_run(run), Console()
    if once or not console.is_terminal:
        console.print(view(folder))
        return
    with Live(view(folder), console=console, auto_refresh=False) as live:
        while not (folder / "result.json").exists():
            time.sleep(interval)
            live.update(view(folder), refresh=True)


def find_run(path: Path) -> Path:
    """The folder itself, or the run in it that was last at work.

    Raises:
        DataError: there is none.
    """
    if is_run(path):
        return path
    runs = [folder for folder in path.iterdir() if is_run(folder)] if path.is_dir() else []
    if not runs:
        hint = "Name the folder of a run, or a folder of runs; replbench run writes them."
        raise DataError("no run to watch", where=path, hint=hint)
    return max(runs, key=last_change)


def is_run(folder: Path) -> bool:
    """Whether a run has begun here."""
    return any((folder / name).is_file() for name in ("result.json", "config.json", NAME))


def last_change(folder: Path) -> float:
    """When the run last wrote about itself, in seconds since the epoch."""
    return max(
        (folder / name).stat().st_mtime
        for name in (NAME, "config.json", "result.json")
        if (folder / name).exists()
    )


def view(folder: Path) -> RenderableType:
    """Everything that there is to see at this moment."""
    points = read_points(folder / NAME)
    parts: list[RenderableType] = [Text(folder.name, "bold"), Text(state(folder, points), "dim")]
    if points:
        parts += [steps(points), losses(points)]
    pictures = sorted((folder / "samples").glob("*.png"))
    if pictures:
        parts += [Text(f"samples so far: {len(pictures):,}", "dim"), Mosaic(tuple(pictures[-SAMPLES:]))]
    return Group(*parts)


def state(folder: Path, points: Sequence[Point]) -> str:
    """One line: finished with R, at work, or silent for how long."""
    if (folder / "result.json").exists():
        return finished(folder / "result.json")
    if not points:
        return "begun; nothing reported yet"
    silent = time.time() - points[-1].at
    return "at work" if silent < 30 else f"silent for {silent:,.0f} seconds: to go on, run the same command"


def finished(path: Path) -> str:
    """The result in a line."""
    try:
        found = {m["name"]: m for m in json.loads(path.read_text(encoding="utf-8"))["measurements"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("the result cannot be read", where=path, got=error) from error
    r: dict[str, Any] = found.get("R", {})
    return f"finished: R {r['value']:.3f}" if r.get("value") is not None else "finished"


def steps(points: Sequence[Point]) -> Table:
    """A bar for every step, in the order of their last beginning."""
    latest: dict[str, Point] = {}
    for point in points:
        latest.pop(point.step, None) if point.done == 0 else None
        latest[point.step] = point
    grid = Table.grid(padding=(0, 2))
    for point in latest.values():
        counts = Text(f"{point.done:,} / {point.total:,}", justify="right")
        grid.add_row(Text(point.step), ProgressBar(max(point.total, 1), point.done, width=24), counts)
    return grid


def losses(points: Sequence[Point]) -> Text:
    """The losses of the newest training step as a line of blocks."""
    trained = [point for point in points if point.loss is not None]
    if not trained:
        return Text()
    name = trained[-1].step
    values = [point.loss for point in trained if point.step == name and point.loss is not None]
    return Text(f"loss {spark(values)} {values[-1]:.4f}  ({name})")


def spark(values: Sequence[float]) -> str:
    """At most ``WIDTH`` blocks; each is the mean of its part of the values."""
    size = max(1, -(-len(values) // WIDTH))
    means = [sum(part) / len(part) for i in range(0, len(values), size) if (part := values[i : i + size])]
    low, span = min(means), max(max(means) - min(means), 1e-12)
    return "".join(BLOCKS[min(int((mean - low) / span * len(BLOCKS)), len(BLOCKS) - 1)] for mean in means)


@dataclass(frozen=True)
class Mosaic:
    """Pictures in half blocks, as many beside each other as fit; nothing where the output has no colours."""

    paths: tuple[Path, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.color_system is None:
            return
        across = max(1, min(ACROSS, options.max_width // (TILE + 1)))
        for start in range(0, len(self.paths), across):
            yield from (*picture_lines(self.paths[start : start + across]), Text())


def picture_lines(paths: Sequence[Path]) -> list[Text]:
    """One row of pictures; each character is two pixels, one above the other."""
    pictures = [small(path) for path in paths]
    lines = []
    for y in range(0, TILE, 2):
        line = Text()
        for picture in pictures:
            for x in range(TILE):
                above, below = picture.getpixel((x, y)), picture.getpixel((x, y + 1))
                line.append("▀", Style(color=hexadecimal(above), bgcolor=hexadecimal(below)))
            line.append(" ")
        lines.append(line)
    return lines


def small(path: Path) -> Image.Image:
    """A picture of ``TILE`` x ``TILE`` pixels; grey where it is just being written or is broken."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB").resize((TILE, TILE))
    except (OSError, SyntaxError, ValueError):
        return Image.new("RGB", (TILE, TILE), "grey")


def hexadecimal(pixel: Any) -> str:
    """``(255, 0, 0)`` -> ``#ff0000``."""
    return "#{:02x}{:02x}{:02x}".format(*pixel)
