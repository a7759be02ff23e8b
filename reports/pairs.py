"""The sheet of closest pairs: each generated image above its nearest training image, the worst first."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError
from pydantic import ValidationError

from replication_bench.errors import ConfigError, DataError
from replication_bench.results import Match, Result
from replication_bench.store import write_atomic
from reports.matches import read_table

Load = Callable[[str], Image.Image]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

TILE, INSET, GAP, MARGIN = 128, 8, 8, 24
LABEL, HEADER, COLUMNS = 40, 64, 8
CELL_WIDTH, CELL_HEIGHT = TILE + 2 * INSET, 2 * TILE + 3 * INSET + LABEL
REPLICATION, USES_OF_ONE_TRAIN_IMAGE = 0.5, 2
LONGEST = 400  # characters; more never fits on a line of the sheet
INK, QUIET, PAPER, FRAME = "#1a1a1a", "#5c5c5c", "#ffffff", "#d0d0d0"
MARK = "#d55e00"  # vermilion of the Okabe-Ito palette; the mark is also the only thick border


class Pairs:
    """The reporter ``pairs``."""

    def draw(
        self,
        result: Result,
        run_folder: Path,
        load_train: Load,
        count: int = 24,
        load_made: Load | None = None,
    ) -> Path:
        """Write ``run_folder/pairs.png`` and return its path.

        Args:
            result: the result, for the title.
            run_folder: holds ``matches.parquet`` and ``samples/<generated id>.png``.
            load_train: opens a training image by id.
            count: largest number of pairs.
            load_made: opens a generated image by id, where they do not lie in ``samples``.

        Raises:
            ConfigError: ``count`` is below 1.
            DataError: the matches or an image are missing or broken.
            StoreError: the sheet cannot be written.
        """
        if count < 1:
            raise ConfigError("the sheet needs room for a pair", where="pairs", got=count, want="1 or more")
        matches = choose(read_matches(run_folder / "matches.parquet"), count)
        load_made = load_made or partial(load_generated, run_folder)
        tiles = [(m, load_made(m.generated), load_private(load_train, m.train)) for m in matches]
        sheet = blank_sheet(len(matches))
        write_header(sheet, result, len(matches))
        for index, (match, generated, train) in enumerate(tiles):
            draw_pair(sheet, corner(index), match, generated, train, match.similarity > copy_limit(result))
        return save(sheet, run_folder / "pairs.png")


def read_matches(path: Path) -> list[Match]:
    """The rows of a run's ``matches.parquet``.

    Raises:
        DataError: the file is missing, is no parquet file, holds other columns, or holds no row.
    """
    try:
        matches = [Match.model_validate(row) for row in read_table(path).to_pylist()]
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            "the matches are broken", where=path, got=f"{first['loc'][0]}: {first['msg']}"
        ) from error
    if not matches or not all(math.isfinite(match.similarity) for match in matches):
        raise DataError("the matches are broken", where=path, got="no rows, or a similarity of no number")
    return matches


def choose(matches: Iterable[Match], count: int) -> list[Match]:
    """The closest pairs, worst first: a generated image once, a training image at most twice, for variety."""
    chosen: list[Match] = []
    generated: set[str] = set()
    uses: Counter[str] = Counter()
    for match in sorted(matches, key=lambda m: (-m.similarity, m.rank, m.generated)):
        if match.generated in generated:
            continue
        # set before the limit is asked: a crowded-out image must not come back with its second-nearest match
        generated.add(match.generated)
        if uses[match.train] < USES_OF_ONE_TRAIN_IMAGE:
            uses[match.train] += 1
            chosen.append(match)
    return chosen[:count]


def load_generated(run_folder: Path, name: str) -> Image.Image:
    """A generated image by its id.

    Raises:
        DataError: the file is missing or broken, or the id leads out of the folder.
    """
    path = run_folder / "samples" / f"{name}.png"
    if Path(name).name != name:
        raise DataError("the id of a generated image is no plain name", where=run_folder, got=repr(name))
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise DataError(
            "a generated image is missing", where=path, hint="Run the same command again."
        ) from error
    except UnidentifiedImageError as error:
        raise DataError("a generated image cannot be read", where=path, got="no image format") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError("a generated image cannot be read", where=path, got=error) from error


def load_private(load_train: Load, name: str) -> Image.Image:
    """A training image by its id.

    Raises:
        DataError: there is none, or it is broken.
    """
    try:
        return load_train(name).convert("RGB")
    except KeyError as error:
        raise DataError("a match names a training image that the dataset does not have", got=name) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError("a training image cannot be read", where=name, got=error) from error


def copy_limit(result: Result) -> float:
    """The similarity above which a pair is marked: an audit's own threshold, else 0.5."""
    found = result.value("copy_threshold")
    return REPLICATION if found is None else found


def blank_sheet(pairs: int) -> Image.Image:
    """White paper for so many pairs; always as wide as a full row, so that the title fits."""
    rows = math.ceil(pairs / COLUMNS)
    width = 2 * MARGIN + COLUMNS * CELL_WIDTH + (COLUMNS - 1) * GAP
    return Image.new("RGB", (width, MARGIN + HEADER + rows * (CELL_HEIGHT + GAP) - GAP + MARGIN), PAPER)


def corner(index: int) -> tuple[int, int]:
    """The upper left corner of a pair."""
    row, column = divmod(index, COLUMNS)
    return MARGIN + column * (CELL_WIDTH + GAP), MARGIN + HEADER + row * (CELL_HEIGHT + GAP)


def write_header(sheet: Image.Image, result: Result, pairs: int) -> None:
    """The title line, and below it how to read the sheet."""
    draw = ImageDraw.Draw(sheet)
    r = result.value("R")
    embedder = result.embedder.get("name", "unknown embedder")
    score = "missing" if r is None else f"{r:.3f}"
    title = f"{result.kind} {result.id.removeprefix('audit-')}, embedder {embedder}, R {score}"
    limit = copy_limit(result)
    legend = (
        f"the {pairs} closest pairs, worst first: generated above its nearest training image (each shown at "
        f"most twice); thick border: similarity above {limit:.3g}"
    )
    for text, size, y, ink in ((title, 20, 0, INK), (legend, 14, 30, QUIET)):
        font = ImageFont.load_default(size=size)
        draw.text((MARGIN, MARGIN + y), shorten(text, font, sheet.width - 2 * MARGIN), fill=ink, font=font)


def draw_pair(
    sheet: Image.Image,
    at: tuple[int, int],
    match: Match,
    generated: Image.Image,
    train: Image.Image,
    copied: bool,
) -> None:
    """One pair in its frame, with its similarity and the caption of the training image."""
    x, y = at
    draw = ImageDraw.Draw(sheet)
    box = (x, y, x + CELL_WIDTH - 1, y + CELL_HEIGHT - 1)
    draw.rectangle(box, outline=MARK if copied else FRAME, width=4 if copied else 1)
    middle = y + INSET + TILE + INSET // 2
    draw.line((x + INSET, middle, x + INSET + TILE - 1, middle), fill=FRAME)
    sheet.paste(fit(generated), (x + INSET, y + INSET))
    sheet.paste(fit(train), (x + INSET, y + 2 * INSET + TILE))
    below = y + 3 * INSET + 2 * TILE - 4
    for text, size, offset, ink in (
        (f"{match.similarity:.2f}", 16, 0, INK),
        (match.train_caption or match.train, 12, 20, QUIET),
    ):
        font = ImageFont.load_default(size=size)
        draw.text((x + INSET, below + offset), shorten(text, font, TILE), fill=ink, font=font)


def fit(image: Image.Image) -> Image.Image:
    """The image on a white tile; small ones are enlarged with hard pixels, to smooth nothing away."""
    scale = TILE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    whole = scale >= 1 and float(scale).is_integer()
    scaled = image.resize(size, Image.Resampling.NEAREST if whole else Image.Resampling.LANCZOS)
    tile = Image.new("RGB", (TILE, TILE), PAPER)
    tile.paste(scaled, ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return tile


def shorten(text: str, font: Font, width: int) -> str:
    """The text on one line, cut with an ellipsis where it is wider than ``width`` pixels."""
    line = without_accents(" ".join(text.split()))[:LONGEST]
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line.rstrip() + "…"


def without_accents(text: str) -> str:
    """Letters without their accents: Pillow's own font has only plain Latin ones."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def save(sheet: Image.Image, path: Path) -> Path:
    """Write the sheet, all of it or nothing.

    Raises:
        StoreError: the folder cannot be written.
    """
    write_atomic(path, lambda temporary: sheet.save(temporary, format="PNG"))
    return path
