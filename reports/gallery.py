"""The gallery: the closest pairs of all runs, worst first, as plain lists that the page draws from."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

from PIL import Image

from replication_bench.errors import DataError
from reports.atlas import ABSENT, ACROSS, Atlas
from reports.gallery_rows import LABELS, Match, Source, find_sources, select
from reports.leaderboard import BoardTable
from reports.pairs import load_generated
from reports.privacy import Rules
from reports.training_images import TrainingImages

MOVED = "Some generated images are no longer where their result lies, or cannot be read."
HIDDEN = "Some training images cannot be shown."


class Texts:
    """Captions and names, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The place of a text in the list."""
        return self.numbers.setdefault(text, len(self.numbers))


class Gallery:
    """Collects rows and their thumbnails.

    Args:
        tables: the boards.
        rules: what may be shown.
        limit: largest number of rows, partners for the paired view not counted.
        side: pixels of a thumbnail; less where not all would fit.
        budget: bytes of all thumbnails; the worst pairs get theirs first.
    """

    def __init__(self, tables: Sequence[BoardTable], rules: Rules, *, limit: int, side: int, budget: int):
        self.tables, self.rules, self.limit = tables, rules, limit
        self.sources = list(find_sources(tables))
        self.texts, self.names, self.training = Texts(), Texts(), TrainingImages()
        self.generated_names = Texts()
        self.atlas = Atlas(min(side, largest_side(self.sources) or side), budget)
        self.problems: dict[str, None] = {}

    def build(self) -> dict[str, Any]:
        """Everything that the page needs."""
        pairs = select(self.sources, self.limit)
        rows = [self.row(source, match) for source, match in pairs]
        self.place(pairs, rows)
        return {
            "tile": self.atlas.side,
            "across": ACROSS,
            "sheets": self.atlas.sheets,
            "groups": self.groups(),
            "labels": list(dict.fromkeys([*LABELS, *(row["l"] for row in rows)])),
            "texts": list(self.texts.numbers),
            "rows": rows,
            "least": least_similarity(rows),
            "total": sum(len(source.top1) for source in self.sources),
        }

    def groups(self) -> list[dict[str, Any]]:
        """The rows of the leaderboard that matches belong to."""
        several = len(self.tables) > 1
        return [
            {
                "label": f"{group.label} · {table.board.id}" if several else group.label,
                "board": board,
                "reference": group.method == table.reference,
            }
            for board, table in enumerate(self.tables)
            for group in table.board.groups
        ]

    def row(self, source: Source, match: Match) -> dict[str, Any]:
        """One row without its thumbnails; a neighbour is [tile, similarity, caption, name]."""
        number, privacy = self.texts.number, self.rules.of(source.run.result)
        return {
            "g": source.index,
            "s": source.seed,
            # its name may be its prompt; its number is the same in all runs of that prompt and noise
            "i": privacy.text(match.generated) or str(self.generated_names.number(match.generated) + 1),
            "p": number(privacy.text(match.prompt)),
            "l": source.label(match),
            "t": ABSENT,
            "n": [
                [
                    ABSENT,
                    round(m.similarity, 4),
                    number(privacy.text(m.train_caption)),
                    number(privacy.text(m.train) or self.number_of(source, m.train)),
                ]
                for m in source.nearest[match.generated]
            ],
        }

    def number_of(self, source: Source, train: str) -> str:
        """What stands for the id of a training image that may not be shown."""
        name = f"{source.run.result.dataset.fingerprint} {train}"
        return f"training image {self.names.number(name) + 1}"

    def place(self, pairs: Sequence[tuple[Source, Match]], rows: Sequence[dict[str, Any]]) -> None:
        """Give every row its thumbnails: all generated and nearest images before any further neighbour."""
        slots: list[tuple[Any, str | int, Hashable]] = []  # where the number of a tile belongs
        for (source, match), row in zip(pairs, rows, strict=True):
            slots.append((row, "t", self.want_generated(source, match.generated)))
            slots.append((row["n"][0], 0, self.want_train(source, match.train)))
        for (source, match), row in zip(pairs, rows, strict=True):
            for neighbour, found in zip(row["n"][1:], source.nearest[match.generated][1:], strict=True):
                slots.append((neighbour, 0, self.want_train(source, found.train)))
        self.atlas.draw()
        for holder, slot, key in slots:
            holder[slot] = self.atlas.tile(key)

    def want_generated(self, source: Source, name: str) -> Hashable:
        """Ask for the tile of a generated image; its key."""
        return self.atlas.want(("generated", source.run.folder, name), lambda: self.generated(source, name))

    def generated(self, source: Source, name: str) -> Image.Image | None:
        """A generated image as it may be shown; None where it was moved or is broken."""
        try:
            return self.rules.of(source.run.result).generated(load_generated(source.run.folder, name))
        except DataError:
            self.problems[MOVED] = None
            return None

    def want_train(self, source: Source, name: str) -> Hashable:
        """Ask for the tile of a training image; its key, None where it may not be shown."""
        if self.rules.of(source.run.result).mode == "omit":
            return None
        dataset: Hashable = source.run.result.dataset.fingerprint
        return self.atlas.want(("train", dataset, name), lambda: self.train(source, name))

    def train(self, source: Source, name: str) -> Image.Image | None:
        """A training image as it may be shown; None where it is gone."""
        image = self.training.open(source.run.result, name)
        return None if image is None else self.rules.of(source.run.result).train(image)

    def notes(self) -> list[str]:
        """What the page says about matches and pictures that are not there."""
        runs = [(group, run) for table in self.tables for group in table.board.groups for run in group.runs]
        lost = [run.result.id for group, run in runs if run.result.seed not in group.matches]
        notes = [f"No matches for {', '.join(lost)}: matches.parquet was moved or is broken."] if lost else []
        notes += self.problems
        if self.training.problems:  # their sentences can name files
            shown = all(self.rules.of(source.run.result).shows for source in self.sources)
            notes += self.training.problems if shown else [HIDDEN]
        if self.atlas.left_out:
            notes.append(f"{self.atlas.left_out:,} thumbnails were left out to keep the page small.")
        return notes


def least_similarity(rows: Sequence[dict[str, Any]]) -> float:
    """Where the filter begins: 0, or below the lowest similarity where that is negative."""
    lowest = min((row["n"][0][1] for row in rows), default=0.0)
    return min(0.0, math.floor(100 * lowest) / 100)


def largest_side(sources: Sequence[Source]) -> int | None:
    """The longer side of the first generated image of any run: a larger thumbnail would show nothing more."""
    for source in sources:
        with suppress(DataError):
            return max(load_generated(source.run.folder, str(source.top1["generated"].iloc[0])).size)
    return None
