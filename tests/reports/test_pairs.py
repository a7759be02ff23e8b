from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageColor, ImageDraw, ImageFont

from replication_bench.errors import ConfigError, DataError, StoreError
from replication_bench.results import Match, Result
from reports.pairs import (
    CELL_HEIGHT,
    CELL_WIDTH,
    COLUMNS,
    FRAME,
    GAP,
    HEADER,
    INSET,
    MARGIN,
    MARK,
    TILE,
    Pairs,
    choose,
    corner,
    fit,
    shorten,
)

Pixel = tuple[int, ...]


def colour(index: int) -> Pixel:
    return (index * 20 % 256, 255 - index * 20 % 256, 90)


def load_train(name: str) -> Image.Image:
    image = Image.new("RGB", (64, 64), (240, 240, 250))
    ImageDraw.Draw(image).ellipse((10, 10, 54, 54), fill=colour(int(name)))
    return image


def match(
    generated: str, train: str, similarity: float, rank: int = 1, caption: str = "a red [red] apple"
) -> Match:
    return Match(
        generated=generated,
        rank=rank,
        train=train,
        similarity=similarity,
        prompt=caption,
        train_caption=caption,
    )


def write_run(folder: Path, matches: list[Match]) -> Path:
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([m.model_dump() for m in matches]), folder / "matches.parquet")
    for index, name in enumerate(sorted({m.generated for m in matches})):
        Image.new("RGB", (64, 64), colour(index)).save(folder / "samples" / f"{name}.png")
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Ten generated images with similarities 0.05, 0.15, ... 0.95, each with a second match below."""
    firsts = [match(f"{i:05d}", str(i), i / 10 + 0.05) for i in range(10)]
    seconds = [match(f"{i:05d}", str((i + 1) % 10), i / 10, rank=2) for i in range(10)]
    return write_run(tmp_path / "run", [*seconds, *firsts])


def pixel(sheet: Image.Image, x: int, y: int) -> Any:
    return sheet.getpixel((x, y))


def test_the_sheet_has_full_rows_and_clean_margins(none: Result, run: Path) -> None:
    path = Pairs().draw(none, run, load_train)
    sheet = Image.open(path)
    width = 2 * MARGIN + COLUMNS * CELL_WIDTH + (COLUMNS - 1) * GAP
    assert path == run / "pairs.png"
    assert sheet.size == (width, 2 * MARGIN + HEADER + 2 * CELL_HEIGHT + GAP)
    for margin in (
        (0, 0, width, MARGIN),
        (0, 0, MARGIN, sheet.height),
        (width - MARGIN, 0, width, sheet.height),
    ):
        assert sheet.crop(margin).getextrema() == ((255, 255),) * 3


def test_the_worst_pair_comes_first_with_generated_above_train(none: Result, run: Path) -> None:
    sheet = Image.open(Pairs().draw(none, run, load_train))
    for place, index in enumerate(reversed(range(10))):
        x, y = corner(place)
        assert pixel(sheet, x + CELL_WIDTH // 2, y + INSET + TILE // 2) == colour(index)
        assert pixel(sheet, x + CELL_WIDTH // 2, y + 2 * INSET + TILE + TILE // 2) == colour(index)
        assert pixel(sheet, x + INSET, y + 2 * INSET + TILE) == (240, 240, 250)


def test_only_similarities_above_the_threshold_have_the_thick_border(none: Result, run: Path) -> None:
    sheet = Image.open(Pairs().draw(none, run, load_train))
    for place, index in enumerate(reversed(range(10))):
        x, y = corner(place)
        copied = index / 10 + 0.05 > 0.5
        assert pixel(sheet, x, y) == ImageColor.getrgb(MARK if copied else FRAME)
        assert (pixel(sheet, x + 2, y + 2) == ImageColor.getrgb(MARK)) == copied


def test_fewer_pairs_on_request_and_no_leftovers(none: Result, run: Path) -> None:
    sheet = Image.open(Pairs().draw(none, run, load_train, count=3))
    assert sheet.height == 2 * MARGIN + HEADER + CELL_HEIGHT
    assert sorted(p.name for p in run.iterdir()) == ["matches.parquet", "pairs.png", "samples"]


def test_the_same_run_gives_the_same_bytes(none: Result, run: Path) -> None:
    first = Pairs().draw(none, run, load_train).read_bytes()
    assert Pairs().draw(none, run, load_train).read_bytes() == first


def test_a_training_image_is_shown_at_most_twice() -> None:
    crowd = [match(f"c{i}", "same", 0.9 - i / 100) for i in range(5)]
    crowd += [match("c2", "other", 0.7, rank=2), match("z", "third", 0.1)]
    assert [(m.generated, m.train) for m in choose(crowd, 24)] == [
        ("c0", "same"),
        ("c1", "same"),
        ("z", "third"),
    ]


def test_equal_similarities_keep_the_order_of_ids() -> None:
    ties = [match(name, name, 0.5) for name in ("b", "a", "c")]
    assert [m.generated for m in choose(ties, 2)] == ["a", "b"]


def test_a_long_caption_is_cut_to_its_tile() -> None:
    font = ImageFont.load_default(size=12)
    text = shorten(
        "a caption  that\nis much too long for one hundred and twenty-eight pixels " * 500, font, TILE
    )
    assert text.startswith("a caption that")
    assert text.endswith("…")
    assert font.getlength(text) <= TILE
    assert shorten("café [red]", font, TILE) == "cafe [red]"


@pytest.mark.parametrize("size", [(64, 64), (100, 40), (512, 300), (1, 1), (1, 400)])
def test_any_image_fits_its_tile(size: tuple[int, int]) -> None:
    assert fit(Image.new("RGB", size, "red")).size == (TILE, TILE)


def test_small_images_keep_hard_pixels() -> None:
    image = Image.new("RGB", (64, 64), "white")
    image.putpixel((3, 5), (0, 0, 0))
    assert sorted(fit(image).getcolors() or []) == [(4, (0, 0, 0)), (TILE * TILE - 4, (255, 255, 255))]


def test_a_missing_r_is_no_obstacle(run: Path, none: Result) -> None:
    bare = none.model_copy(update={"measurements": ()})
    assert Pairs().draw(bare, run, load_train).exists()


def remove_matches(run: Path) -> None:
    (run / "matches.parquet").unlink()


def spoil_matches(run: Path) -> None:
    (run / "matches.parquet").write_bytes(b"PAR1 and nothing more")


def other_columns(run: Path) -> None:
    pq.write_table(pa.table({"generated": ["a"], "similarity": [0.5]}), run / "matches.parquet")


def no_rows(run: Path) -> None:
    table = pq.read_table(run / "matches.parquet")
    pq.write_table(table.slice(0, 0), run / "matches.parquet")


def no_number(run: Path) -> None:
    row = match("00000", "0", 0.5).model_dump() | {"similarity": float("nan")}
    pq.write_table(pa.Table.from_pylist([row]), run / "matches.parquet")


def null_id(run: Path) -> None:
    row = match("00000", "0", 0.5).model_dump() | {"train": None}
    pq.write_table(pa.Table.from_pylist([row]), run / "matches.parquet")


def leave_the_folder(run: Path) -> None:
    row = match("../00000", "0", 0.5).model_dump()
    pq.write_table(pa.Table.from_pylist([row]), run / "matches.parquet")


def remove_sample(run: Path) -> None:
    (run / "samples" / "00009.png").unlink()


def truncate_sample(run: Path) -> None:
    path = run / "samples" / "00009.png"
    path.write_bytes(path.read_bytes()[:60])


def no_image(run: Path) -> None:
    (run / "samples" / "00009.png").write_text("text", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (remove_matches, "the matches are missing"),
        (spoil_matches, "the matches cannot be read"),
        (other_columns, "the matches"),
        (no_rows, "the matches are broken"),
        (no_number, "the matches are broken"),
        (null_id, "train"),
        (leave_the_folder, "no plain name"),
        (remove_sample, "a generated image is missing"),
        (truncate_sample, "a generated image cannot be read"),
        (no_image, "a generated image cannot be read"),
    ],
)
def test_broken_files_are_one_line_and_leave_no_sheet(
    none: Result, run: Path, spoil: Callable[[Path], None], words: str
) -> None:
    spoil(run)
    with pytest.raises(DataError, match=words) as caught:
        Pairs().draw(none, run, load_train)
    assert "\n" not in str(caught.value)
    assert not (run / "pairs.png").exists()


@pytest.mark.parametrize("error", [KeyError("9"), OSError("image file is truncated")])
def test_a_training_image_that_cannot_be_loaded_is_one_line(
    none: Result, run: Path, error: Exception
) -> None:
    def fail(name: str) -> Image.Image:
        raise error

    with pytest.raises(DataError, match=r"training image.*9"):
        Pairs().draw(none, run, fail)


def test_room_for_no_pair_is_refused(none: Result, run: Path) -> None:
    with pytest.raises(ConfigError, match="want 1 or more"):
        Pairs().draw(none, run, load_train, count=0)


def test_a_place_that_cannot_be_written_is_told(none: Result, run: Path) -> None:
    (run / "pairs.png").mkdir()
    with pytest.raises(StoreError, match=r"cannot write; in .*pairs\.png"):
        Pairs().draw(none, run, load_train)
    assert not list(run.glob(".pairs*"))
