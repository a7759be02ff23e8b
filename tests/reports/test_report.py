from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_folders import SCRIPT, break_picture, write_runs

from replication_bench.errors import ConfigError, StoreError
from replication_bench.results import Result
from reports import report
from reports.atlas import ABSENT, LEAST_SIDE, Atlas
from reports.figures.all import Pictures
from reports.gallery import least_similarity
from reports.privacy import Rules, blurred, licence_of
from reports.report import Report, as_script_json

Make = Callable[..., Result]
PNG = b"\x89PNG"


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests about anything else: drawing takes most of a report's time."""
    monkeypatch.setattr(report, "pictures", lambda table: Pictures([], ["left out by the test"]))


def page_of(runs: Path, out: Path, **options: object) -> str:
    return Report().build([runs], out, **options)[0].read_text(encoding="utf-8")


def test_a_report_is_a_page_four_tables_and_every_picture_twice(built: Path) -> None:
    names = {path.name for path in built.iterdir()}
    assert names == {
        "report.html",
        *(f"leaderboard.{form}" for form in ("md", "csv", "tex", "json")),
        "figures",
    }
    pictures = sorted(path.name for path in (built / "figures").iterdir())
    stems = {"distributions", "replication-kd_heldout", "training-time", "duplication"}
    assert set(pictures) == {f"{stem}.{form}" for stem in stems for form in ("png", "svg")}
    assert (built / "figures" / "distributions.png").read_bytes().startswith(PNG)


def test_a_report_is_built_twice_with_the_same_bytes(runs: Path, built: Path, tmp_path: Path) -> None:
    again = Report().build([runs], tmp_path, show_training_images=True)
    assert all(path.read_bytes() == (built / path.relative_to(tmp_path)).read_bytes() for path in again)


def test_the_page_asks_for_nothing_from_outside(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", page)
    assert not re.findall(r"@import|url\((?!#|\$)", page.partition("<body>")[0])


def test_every_picture_has_words_for_those_who_do_not_see_it(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    told = re.findall(r'<div role="img" aria-label="([^"]+)"', page)
    assert len(told) == page.count("<figure>") == 4
    assert all(any(c.isdigit() for c in text) for text in told)


def test_numbers_that_share_an_explanation_stand_together(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    about = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)", page.partition('class="glossary"')[2])
    assert len(about) > 10
    assert len({text for _, text in about}) == len(about)
    assert not [title for title, text in about if text.startswith("The same")]


def test_no_two_elements_share_an_id(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_private_pictures_and_captions_are_marked_in_a_full_report(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    assert "This page contains the training images and captions of folder." in page
    assert "a red circle" in page


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("option", "sentence"), [("", "are left out"), ("redact", "are left out"), ("blur", "are blurred")]
)
def test_a_page_holds_no_caption_no_name_and_no_sharp_picture_unless_it_is_asked_to(
    runs: Path, tmp_path: Path, option: str, sentence: str
) -> None:
    page = page_of(runs, tmp_path, **({option: True} if option else {}))
    assert f"training images of folder {sentence}" in page
    captions = {path.read_text().strip() for path in (runs.parent / "data").glob("*.txt")}
    assert captions
    for secret in (*captions, "script>window", ".png", str(runs.parent)):
        assert secret not in page
    for path in tmp_path.rglob("leaderboard.*"):
        assert not [c for c in captions if c in path.read_text(encoding="utf-8")]
    assert '"i":"00003"' not in page
    assert '"i":"3"' in page


def test_only_images_that_anyone_may_see_are_shown_unasked(make: Make) -> None:
    private = make()
    private = private.model_copy(update={"dataset": private.dataset.model_copy(update={"name": "folder"})})
    both = [make(), private]
    modes = {
        mode: [Rules(mode).of(result).mode for result in both] for mode in (None, "show", "omit", "blur")
    }
    assert modes == {
        None: ["show", "omit"],
        "show": ["show", "show"],
        "omit": ["omit", "omit"],
        "blur": ["blur", "blur"],
    }
    first, second = Rules().notices([*both, *both])
    assert "openmoji are shown (CC BY-SA 4.0, OpenMoji project)" in first.text
    assert "training images of folder are left out" in second.text
    assert [notice.safe for notice in Rules("show").notices(both)] == [True, False]


def test_a_dataset_that_is_not_installed_is_private() -> None:
    assert licence_of("a-dataset-of-somebody-else") == ""


def test_showing_and_redacting_at_once_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shows training images or redacts them"):
        Report().build([runs], tmp_path / "out", show_training_images=True, blur=True)
    assert not (tmp_path / "out").exists()


def test_a_blurred_picture_keeps_five_colours_a_side_and_no_more() -> None:

    sharp = noise(0, 60)
    other = sharp.resize((5, 5), Image.Resampling.BOX).resize((60, 60), Image.Resampling.NEAREST)
    assert blurred(sharp).tobytes() == blurred(other).tobytes()


def test_captions_cannot_leave_their_place(built: Path) -> None:
    page = (built / "report.html").read_text(encoding="utf-8")
    assert SCRIPT not in page
    assert "<img" not in page
    assert as_script_json({"a": "</script>&"}) == '{"a":"\\u003c/script\\u003e\\u0026"}'


@pytest.mark.usefixtures("no_pictures")
def test_moved_images_leave_a_page_that_says_so(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs.parent, tmp_path / "made")
    (tmp_path / "made" / "data").rename(tmp_path / "gone")
    results = list((tmp_path / "made").rglob("result.json"))
    for path in results:
        path.write_text(path.read_text().replace(str(runs.parent), str(tmp_path / "made")), encoding="utf-8")
    shutil.rmtree(results[0].parent / "samples")
    break_picture(results[1].parent / "samples" / "00003.png")
    (results[2].parent / "matches.parquet").unlink()
    page = page_of(tmp_path / "made", tmp_path / "out", show_training_images=True)
    assert "Some generated images are no longer where their result lies, or cannot be read." in page
    assert "The training images of folder cannot be shown" in page
    assert f"No matches for {results[2].parent.name}" in page


@pytest.mark.usefixtures("no_pictures")
def test_two_boards_stand_apart_and_the_page_says_in_what(runs: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "other", count=12, seeds=(0,), fingerprint="e" * 64)
    written = Report().build([runs, tmp_path / "other"], tmp_path / "out")
    page = written[0].read_text(encoding="utf-8")
    assert page.count('<table class="board">') == 2
    assert "These results need 2 boards" in page
    assert "eeeeeeeeeeee" in page
    with pytest.raises(ConfigError, match="eeeeeeeeeeee"):
        Report().build([runs, tmp_path / "other"], tmp_path / "out", together=True)


def test_an_unwritable_folder_is_named(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="the output folder cannot be written"):
        Report().build([runs], tmp_path / "file" / "report")


def test_the_filter_begins_below_the_lowest_similarity() -> None:
    def row(similarity: float) -> dict[str, object]:
        return {"n": [[ABSENT, similarity, 0, 0]]}

    assert least_similarity([row(0.5), row(-0.014)]) == -0.02
    assert least_similarity([row(0.5)]) == least_similarity([]) == 0


def test_a_picture_is_placed_once_and_one_that_is_gone_is_absent() -> None:
    image, atlas = Image.new("RGB", (8, 8), "red"), Atlas(8, budget=10**6)
    keys = [atlas.want(name, partial(found, image)) for name in ("a", "a", "b")]
    gone = atlas.want("gone", lambda: None)
    atlas.draw()
    assert [atlas.tile(key) for key in keys] == [0, 0, 1]
    assert atlas.tile(gone) == atlas.tile(None) == ABSENT
    assert (len(atlas.sheets), atlas.left_out) == (1, 0)


def noise(seed: int, side: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3)).astype(np.uint8))


def found(image: Image.Image) -> Image.Image:
    return image


def test_thumbnails_shrink_until_all_fit_and_only_then_the_last_are_left_out() -> None:
    drawn = {}
    for budget in (10**9, 2_500_000, 600_000):
        drawn[budget] = atlas = Atlas(96, budget)
        for index in range(600):
            atlas.want(index, partial(noise, index, 96))
        atlas.draw()
    large, fitting, small = drawn.values()
    assert (large.side, large.left_out) == (96, 0)
    assert large.bytes > fitting.budget
    assert fitting.left_out == 0
    assert fitting.bytes <= fitting.budget
    assert LEAST_SIDE < fitting.side < 96
    assert small.side == LEAST_SIDE
    assert 0 < small.left_out < 600
    assert (small.tile(0), small.tile(599)) == (0, ABSENT)
