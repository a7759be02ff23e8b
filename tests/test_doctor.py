from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from replication_bench import extras
from replication_bench.commands import doctor


def test_a_missing_optional_package_is_told_with_its_command(
    monkeypatch: pytest.MonkeyPatch, replbench: Callable[..., tuple[int, str, str]]
) -> None:
    def hidden(name: str) -> str:
        if name == "peft":
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(extras, "version", hidden)
    for name in ("dataset", "embedder"):  # not what is asked here
        monkeypatch.setattr(doctor, name, lambda _: lambda: "")
    for name in ("search", "sscd", "backbones", "device"):
        monkeypatch.setattr(doctor, name, lambda: "")
    status, out, _ = replbench("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(out)}
    assert status == 0
    assert found["optional package opacus"] == {
        "name": "optional package opacus",
        "ok": True,
        "detail": "1.2.3",
    }
    peft = found["optional package peft"]
    assert not peft["ok"]
    assert "pip install 'replbench[lora]'" in peft["detail"]


def test_a_finding_is_one_line_however_narrow_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the path or the address in it can be copied."""
    address = f"https://example.org/{'long-' * 40}name.pth"
    monkeypatch.setattr(doctor, "probe", lambda name, look: doctor.Finding(name, False, f"get {address}"))
    monkeypatch.setenv("COLUMNS", "40")
    doctor.show(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 10
    assert all(line.startswith("missing ") and line.endswith(f": get {address}") for line in lines)


def test_every_command_names_an_extra_that_holds_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    offered = project["project"]["optional-dependencies"]
    for name, (_, install) in extras.OPTIONAL.items():
        extra = install.removeprefix("replbench[").removesuffix("]")
        assert any(one.startswith(name) for one in offered[extra]), name
