from __future__ import annotations

import pytest

from replication_bench.commands.run import resolve_all
from replication_bench.errors import ConfigError
from replication_bench.resolve import Request
from replication_bench.sweep import swept

LOYAL = Request(methods=("loyal",))


def settings(*sweeps: str) -> list[tuple[str, ...]]:
    request = Request(methods=("loyal",), settings=("train.batch_size=8",), sweeps=sweeps)
    return [one.settings[1:] for one in swept(request)]


def test_each_sweep_varies_alone() -> None:
    assert settings() == [()]
    assert settings("methods.loyal.tau=250, 750", "train.learning_rate=1e-4") == [
        ("methods.loyal.tau=250",),
        ("methods.loyal.tau=750",),
        ("train.learning_rate=1e-4",),
    ]


def test_values_with_a_comma_are_told_apart_by_semicolons() -> None:
    assert settings("methods.loyal.skips=SC1;SC3,SC4") == [
        ("methods.loyal.skips=SC1",),
        ("methods.loyal.skips=SC3,SC4",),
    ]


def test_a_configuration_that_two_sweeps_share_runs_once() -> None:
    sweeps = ("methods.loyal.tau=250,500", "methods.loyal.block=conv3x3,no_skip")
    configs, reference = resolve_all(Request(methods=("loyal",), sweeps=sweeps))
    found = [(c.method.name, c.method.options.get("loyal", {})) for c in configs]
    assert reference == "none"
    assert [(name, o.get("tau"), o.get("block")) for name, o in found] == [
        ("none", None, None),
        ("loyal", 250, "conv3x3"),
        ("loyal", 500, "conv3x3"),
        ("loyal", 500, "no_skip"),
    ]


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ("methods.loyal.tau", "--sweep takes key=value,value"),
        ("methods.loyal.tau=1,,2", "--sweep takes key=value,value"),
        ("backbone=a,b", "this cannot be swept"),
        ("train.budget_rule=total,per_stage", "this cannot be swept"),
        ("methods.dual.tau=1,2", "Add --method dual"),
    ],
)
def test_what_cannot_be_swept_is_refused(sweep: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        settings(sweep)


def test_a_value_that_is_refused_alone_is_refused_in_a_sweep() -> None:
    with pytest.raises(ConfigError, match="tau"):
        resolve_all(Request(methods=("loyal",), sweeps=("methods.loyal.tau=500,0",)))
