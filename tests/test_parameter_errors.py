"""A parameter that cannot be meant is one line with the key that sets it, and so is a name without a part."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from replication_bench import plugins
from replication_bench.errors import ConfigError, PluginError
from replication_bench.resolve import build_method, method_parts

PARAMETERS = [
    (name, field.name)
    for name in plugins.available("methods")
    for field in fields(plugins.load("methods", name))
]


@pytest.mark.parametrize(("method", "parameter"), PARAMETERS)
def test_a_value_that_no_parameter_takes_is_refused_by_its_key(method: str, parameter: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_method(method, {method: {parameter: [{}]}})
    line = str(caught.value)
    assert re.search(rf"; in methods\.{method}\.{parameter}[.;] ", line)
    assert "\n" not in line


def test_what_is_wrong_with_a_method_as_a_whole_names_it() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown transfer block 'conv'; in methods\.loyal\.block\. Did you mean"
    ):
        build_method("gn+loyal", {"loyal": {"block": "conv"}})
    with pytest.raises(ConfigError, match=r"must not fall.*; in methods\.amg\.low; got 1\.0; want at most"):
        build_method("amg", {"amg": {"low": 1, "high": 0}})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("loyal+", "a part is missing after '+'; got 'loyal+'; want such as loyal+gc"),
        ("+gc", "a part is missing before '+'; got '+gc'; want such as loyal+gc"),
        ("loyal++gc", "a part is missing after '+'; got 'loyal++gc'; want such as loyal+gc"),
        ("", "a method's name is empty; got ''; want such as loyal"),
    ],
)
def test_a_missing_part_is_told(name: str, line: str) -> None:
    with pytest.raises(PluginError) as caught:
        method_parts(name)
    assert str(caught.value) == line
