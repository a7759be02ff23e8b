from __future__ import annotations

from pathlib import Path

import pytest

from reports.board import Leaderboard
from reports.gallery_rows import find_sources, select


@pytest.mark.parametrize(("limit", "least", "most"), [(0, 0, 0), (2, 2, 4), (12, 12, 24), (1000, 144, 144)])
def test_the_gallery_holds_as_many_pairs_as_it_may_and_their_partners(
    runs: Path, limit: int, least: int, most: int
) -> None:
    sources = list(find_sources(Leaderboard().tables([runs])))
    pairs = select(sources, limit)
    assert least <= len(pairs) <= most
    if limit == 2:
        everything = select(sources, 1000)
        assert pairs[0][1].similarity == everything[0][1].similarity
