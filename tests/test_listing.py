"""``replbench methods``: what each method replaces, its defaults, and where it is from."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from replication_bench import cli, plugins
from replication_bench.commands import listing
from replication_bench.method import HOOKS
from replication_bench.plugins import Plugin


def rows(capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    cli.main(["methods", "--json"])
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "400")
    cli.main(["methods"])
    return capsys.readouterr().out


def test_every_method_has_kind_paper_hooks_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys)
    assert found["none"] | {"package": ""} == {
        "name": "none",
        "package": "",
        "kind": "train",
        "paper": "",
        "hooks": [],
        "about": "plain fine-tuning of the whole U-Net",
        "parameters": {},
    }
    assert found["loyal"]["hooks"] == ["stages", "build", "denoiser", "check"]
    assert found["loyal"]["parameters"]["tau"] == 500
    assert all(set(row["hooks"]) <= set(HOOKS) for row in found.values())
    assert all(row["kind"] in ("train", "sample") for row in found.values())


def test_the_table_shows_one_line_a_method(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    head, *lines = table(capsys, monkeypatch).splitlines()
    assert head.split() == ["name", "kind", "paper", "hooks", "defaults", "about"]
    assert len(lines) == len(plugins.available("methods"))
    (dual,) = (line for line in lines if line.startswith("dual "))
    assert dual.split()[1:6] == ["train", "stages,", "denoiser", "tau=500", "control:"]


def test_a_narrow_terminal_cuts_nothing_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["methods"])
    out = capsys.readouterr().out
    assert "…" not in out
    assert all(len(line) <= 80 for line in out.splitlines())
    words = out.split()
    for default in ("transition=500,", "threshold=0.75", "learning_rate=0.05,", "max_grad_norm=1.0,"):
        assert default in words  # where it is broken, 0.75 reads as 0.7


def test_a_broken_method_of_another_package_is_listed_with_its_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Plugin("methods", "broken", "no_such_module:Method", "elsewhere", "1.0")
    both = {**plugins.available("methods"), "broken": broken}
    monkeypatch.setattr(plugins, "available", lambda kind: both if kind == "methods" else {})
    out = table(capsys, monkeypatch)
    assert out.splitlines()[0].split()[-1] == "package"
    (line,) = (line for line in out.splitlines() if line.startswith("broken "))
    assert "cannot be imported; in elsewhere 1.0" in line
    assert line.rstrip().endswith("elsewhere 1.0")


def test_a_narrow_terminal_names_another_package_beside_its_method(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(plugins.find("methods", "gn"), name="hush", distribution="other")
    both = {**plugins.available("methods"), "hush": other}
    monkeypatch.setattr(plugins, "available", lambda kind: both if kind == "methods" else {})
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["methods"])
    out = capsys.readouterr().out
    words = out.split()
    assert out.splitlines()[0].split()[-1] == "about"
    assert {*both, "(other", "2305.20086", "transition=500,"} <= {*words}
    assert "(replbench" not in words
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"tau": 500, "skips": ("SC3", "SC4")}, "tau=500, skips=SC3+SC4"),
        ({"path": ""}, "path=''"),
        (["stages", "build"], "stages, build"),
        ("plain", "plain"),
        ({}, ""),
    ],
)
def test_values_as_text(value: object, text: str) -> None:
    assert listing.as_text(value) == text
