"""The pictures of a report as files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from replication_bench.store import write_atomic
from reports.figures.all import Pictures

FORMS = ("png", "svg")
OURS = re.compile(
    r"([0-9a-f]{8}-)?(distributions|duplication|training-time|(replication|ablation)-.+)\.(png|svg)"
)


def write_figures(boards: Sequence[tuple[str, Pictures]], folder: Path) -> list[Path]:
    """Write every picture of every board as PNG and SVG, and remove those of an earlier report.

    Args:
        boards: what the names of a board's files begin with, and its pictures.
        folder: of the files.

    Raises:
        StoreError: the folder cannot be written.
    """
    files: dict[Path, bytes] = {}
    for prefix, drawn in boards:
        for picture in drawn.drawn:
            stem = free(f"{prefix}{file_name(picture.name)}", {path.stem for path in files})
            files |= {folder / f"{stem}.{form}": content for form, content in picture.files.items()}
    for path, content in files.items():
        write_atomic(path, lambda temporary, content=content: temporary.write_bytes(content))  # type: ignore[misc]
    remove_others(folder, set(files))
    return list(files)


def file_name(text: str) -> str:
    """The text without what could lead out of a folder: names of settings and methods come from files of others."""
    return re.sub(r"[^\w.+=-]+", "-", text)


def free(stem: str, taken: set[str]) -> str:
    """The stem, numbered where another picture has it, in lower or upper case."""
    lower = {name.lower() for name in taken}
    numbers = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return stem if stem.lower() not in lower else next(name for name in numbers if name.lower() not in lower)


def remove_others(folder: Path, kept: set[Path]) -> None:
    """Remove pictures that an earlier report left, which would be taken for this one's; nothing else."""
    for path in folder.glob("*.*"):
        if path not in kept and OURS.fullmatch(path.name) and path.is_file():
            with suppress(OSError):
                path.unlink()
