"""The tables of docs/methods hold every parameter of every installed method, with the default of the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from replication_bench import plugins

PAGES = sorted((Path(__file__).parents[1] / "docs/methods").glob("*.md"))
WORDS = {"shipped": "", "measured": None, "published": None, "true": True, "false": False}
UNSET = ("sha256",)  # the hash of a file, filled in by the method itself


def read(text: str) -> object:
    """A default as a table writes it: a number, a word of ``WORDS``, or a text."""
    text = re.split(r"; | on ", text.strip("` "))[0]
    if text in WORDS:
        return WORDS[text]
    try:
        return float(text)
    except ValueError:
        return text


def documented() -> dict[tuple[str, str], object]:
    """Defaults by method and parameter, from tables below a method's heading and from the list of text methods."""
    found: dict[tuple[str, str], object] = {}
    for page in PAGES:
        heading, table = [], False
        for line in page.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
            if line.startswith("## "):
                heading = re.findall(r"[a-z][a-z-]*", line)
            if len(cells) < 3:
                table = False
            elif re.match(r"(option|parameter)\b", cells[0]) and cells[1] == "default":
                table, heading = True, re.findall(r"option of `(.+)`", cells[0]) or heading
            elif table:
                names = re.findall(r"`(\w+)`", cells[0])
                values = (
                    cells[1].split(", ") if len(names) > 1 and "," in cells[1] else [cells[1]] * len(names)
                )
                for name, value in zip(names, values, strict=True):
                    found |= {(method, name): read(value) for method in heading}
                    found |= {(also, name): read(value) for also in re.findall(r"also of `(.+?)`", cells[2])}
            elif len(cells) == 5 and (method := re.fullmatch(r"`(.+)`", cells[0])):
                pairs = re.findall(r"`(\w+)` \((.+?)\)", cells[4])
                found |= {(method[1], name): read(value) for name, value in pairs}
    return found


@pytest.mark.parametrize("name", plugins.available("methods"))
def test_every_default_stands_in_a_table(name: str) -> None:
    method, tables = plugins.load("methods", name)(), documented()
    for field in fields(method):
        if field.name in UNSET:
            continue
        default = getattr(method, field.name)
        default = ", ".join(default) if isinstance(default, tuple) else default
        assert tables.get((name, field.name), "in no table") == default, field.name
