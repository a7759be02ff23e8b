"""Which links are picked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from links import Prepare, metadata

from replication_bench.data.laion.judge import Limits, size_fault
from replication_bench.data.laion.metadata import metadata_files
from replication_bench.data.laion.pick import Picked, pick, rank
from replication_bench.data.laion.request import Preparation, preparation
from replication_bench.errors import ConfigError, DataError

URLS = [f"http://example.org/{i}.jpg" for i in range(60)]


def picked(*paths: Path, size: int = 10, seed: int = 0, **options: object) -> Picked:
    asked = Preparation(metadata=tuple(map(str, paths)), size=size, seed=seed, **options)
    return pick(asked, lambda name, total: lambda done: None)


def urls(found: Picked) -> list[str]:
    return [link.url for link in found.links]


def test_the_smallest_seeded_hashes_are_picked(tmp_path: Path) -> None:
    found = urls(picked(metadata(tmp_path / "a.parquet", URLS)))
    assert found == sorted(URLS, key=lambda url: rank(0, url))[:10]
    assert found != urls(picked(tmp_path / "a.parquet", seed=1))
    assert found[:5] == urls(picked(tmp_path / "a.parquet", size=5))


def test_neither_the_order_of_rows_nor_of_files_matters(tmp_path: Path) -> None:
    whole = picked(metadata(tmp_path / "whole.parquet", URLS))
    mixed = list(np.random.default_rng(0).permutation(URLS))
    for part in range(3):
        metadata(tmp_path / "parts" / f"{part}.parquet", mixed[part::3])
    assert picked(tmp_path / "parts").links == whole.links
    files = [tmp_path / "parts" / f"{part}.parquet" for part in (2, 0, 1)]
    assert picked(*files).links == whole.links
    assert metadata_files([str(tmp_path / "parts" / "*.parquet")]) == sorted(files)


def test_a_link_that_stands_twice_is_picked_once_with_one_caption_whatever_the_order(tmp_path: Path) -> None:
    first = metadata(tmp_path / "1.parquet", URLS[:12] * 2, TEXT=["b"] * 12 + ["a"] * 12)
    second = metadata(tmp_path / "2.parquet", URLS[:12] * 2, TEXT=["a"] * 12 + ["b"] * 12)
    found = picked(first)
    assert len(set(urls(found))) == 10
    assert {link.caption for link in found.links} == {"a"}
    assert picked(second).links == found.links


def test_each_filter_leaves_out_its_rows_and_those_without_a_value(tmp_path: Path) -> None:
    n = len(URLS)
    columns = {
        "WIDTH": [100, None, 2000, *[640] * (n - 3)],
        "HEIGHT": [600, 600, 500, *[480] * (n - 3)],
        "LANGUAGE": [*["en"] * 3, "de", None, *["EN"] * (n - 5)],
        "punsafe": [*[0.01] * 5, 0.5, *[0.01] * (n - 6)],
        "NSFW": [*["UNLIKELY"] * 6, "NSFW", "UNSURE", *["UNLIKELY"] * (n - 8)],
        "TEXT": [*["x"] * 8, "", None, *["x"] * (n - 10)],
    }
    path = metadata(
        tmp_path / "a.parquet", [*URLS[:10], "ftp://example.org/x", "file:///etc/x", *URLS[12:]], **columns
    )
    found = picked(path, size=n - 12)
    assert sorted(urls(found)) == sorted(URLS[12:])
    assert found.funnel.rows == n
    assert dict(found.funnel.left_out) == {
        "a side below 256": 2,
        "sides beyond 3 to 1": 1,
        "language not en": 2,
        "punsafe above 0.1": 1,
        "nsfw not UNLIKELY": 2,
        "no caption": 2,
        "no http link": 2,
    }
    off = {"min_side": 0, "max_aspect": 0, "language": "any", "max_punsafe": 1, "nsfw": "any"}
    assert len(picked(path, size=n - 4, **off).links) == n - 4
    with pytest.raises(
        DataError, match=r"got 48 of 60 rows \(left out: 2 a side below 256, .*want 50.*looser"
    ):
        picked(path, size=50)


def test_a_missing_side_never_passes_the_aspect(tmp_path: Path) -> None:
    sides = {"WIDTH": [None, 640.0, None, *[640.0] * 57], "HEIGHT": [640.0, None, None, *[640.0] * 57]}
    found = picked(metadata(tmp_path / "a.parquet", URLS, **sides), size=20, min_side=0)
    assert found.funnel.left_out["sides beyond 3 to 1"] == 3


def test_filters_whose_columns_do_not_exist_are_noted(tmp_path: Path) -> None:
    path = metadata(tmp_path / "a.parquet", URLS, LANGUAGE=None, punsafe=None, WIDTH=None)
    found = picked(path)
    assert set(found.funnel.not_applied) == {"min_side", "max_aspect", "language", "max_punsafe"}
    assert found.funnel.not_applied["language"] == "no column language in a.parquet"


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"URL": None}, {}, r"no url column.*got columns TEXT, WIDTH.*want url, in any case.*--url-column"),
        (
            {"TEXT": None},
            {},
            r"no caption column.*got columns URL, WIDTH.*want text or caption.*--caption-column",
        ),
        ({}, {"url_column": "link"}, r"no url column.*want link"),
        ({"WIDTH": ["wide"] * 60}, {}, "holds no numbers"),
    ],
)
def test_columns_that_are_not_there_are_one_line(
    tmp_path: Path, columns: dict[str, None], options: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        picked(metadata(tmp_path / "a.parquet", URLS, **columns), **options)


def test_columns_have_any_case_or_a_given_name(tmp_path: Path) -> None:
    table = pd.DataFrame({"url": URLS, "Caption": "lower", "alt": "given"})
    table.to_parquet(tmp_path / "a.parquet")
    assert {link.caption for link in picked(tmp_path / "a.parquet").links} == {"lower"}
    assert {link.caption for link in picked(tmp_path / "a.parquet", caption_column="ALT").links} == {"given"}


def test_metadata_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "b.parquet").write_text("no parquet")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("b.parquet", "cannot be read"),
        ("c.parquet", "no metadata there"),
        ("empty", "no metadata"),
    ):
        with pytest.raises(DataError, match=words):
            picked(tmp_path / name)


def test_memory_grows_with_the_choice_alone(tmp_path: Path) -> None:
    """The picker holds as many captions as links, whatever it was offered."""
    from replication_bench.data.laion.metadata import Link
    from replication_bench.data.laion.pick import Picker

    picker = Picker(7, 0)
    for i in range(5000):
        picker.offer(Link(f"http://x/{i % 3000}", "c"))
        assert len(picker.captions) == len(picker.heap) <= 7


@pytest.mark.parametrize(("sides", "fault"), [((900, 100), "sides beyond 3 to 1"), ((300, 100), "")])
def test_an_image_that_arrived_keeps_to_the_aspect_unless_it_is_off(
    sides: tuple[int, int], fault: str
) -> None:
    assert size_fault(*sides, Limits(min_side=0, max_aspect=3, max_pixels=10**6)) == fault
    assert size_fault(*sides, Limits(min_side=0, max_aspect=0, max_pixels=10**6)) == ""


def test_an_aspect_below_one_is_no_ratio() -> None:
    with pytest.raises(ConfigError, match=r"max_aspect.*0, or the longer"):
        preparation({"max_aspect": 0.5})


def test_metadata_that_cannot_be_used_is_one_line_and_leaves_no_folder(
    prepare: Prepare, tmp_path: Path
) -> None:
    for path in (metadata(tmp_path / "a.parquet", URLS, URL=None), tmp_path / "missing.parquet"):
        status, _, err = prepare("--metadata", path, "--size", 5, "--out", tmp_path / "new" / "out")
        assert (status, err.count("\n")) == (2, 1), err
        assert not (tmp_path / "new").exists()
