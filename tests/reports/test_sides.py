from __future__ import annotations

import pytest

from reports.sides import side_of


@pytest.mark.parametrize(
    ("method", "side"),
    [
        ("df", "data"),
        ("gc", "data"),
        ("mc", "data"),
        ("dedup", "data"),
        ("augment", "data"),
        ("gc+df", "data"),
        ("none", "none"),
        ("none+gc", "data"),
        ("losscut", "other"),
        ("loyal", "other"),
        ("loyal+gc+df", "other"),
        ("wen", "other"),
        ("nobody-has-this", "unknown"),
    ],
)
def test_the_side_of_a_shipped_method(method: str, side: str) -> None:
    assert side_of(method) == side
