from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replication_bench import ranges
from replication_bench.errors import ConfigError

NUMBERS = (True, "1", None, float("nan"), float("inf"))


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (ranges.boolean, (True, False), (0, 1, "true", None)),
        (ranges.text, ("", "a"), (1, None)),
        (ranges.probability, (0, 1, 0.5), (-0.1, 1.1, *NUMBERS)),
        (ranges.not_negative, (0, 2.5), (-1, -0.1, *NUMBERS)),
        (ranges.positive, (1, 0.1), (0, -1, *NUMBERS)),
    ],
)
def test_a_value_out_of_range_is_one_line_that_names_the_parameter(
    check: Callable[[str, Any], None], good: tuple[Any, ...], bad: tuple[Any, ...]
) -> None:
    for value in good:
        check("strength", value)
    for value in bad:
        with pytest.raises(ConfigError, match=r"in strength; got .*; want") as caught:
            check("strength", value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [2, 2.0, True, "3", None])
def test_an_integer_has_a_least_value(value: Any) -> None:
    ranges.integer("n", 3, 3)
    with pytest.raises(ConfigError, match=r"in n; got .*; want an integer from 3"):
        ranges.integer("n", value, 3)


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    ranges.one_of("half", "both", ("cond", "both"))
    with pytest.raises(ConfigError, match=r"unknown half 'bth'; in half\. Did you mean 'both'\?"):
        ranges.one_of("half", "bth", ("cond", "both"))
    with pytest.raises(ConfigError, match=r"unknown choice of halves 'bth'; in half\."):
        ranges.one_of("half", "bth", ("cond", "both"), "choice of halves")
