"""A cell is read back from every format as it stands there: number, interval, verdict and reason must be the same."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

MINUS = "\N{MINUS SIGN}"
WORDS = {"✓": "supported", "✗": "not supported", "?": "undecided", "": ""}
OF_LATEX = {
    r"$-$": MINUS,
    r"$\checkmark$": "✓",
    r"$\times$": "✗",
    r"\textless{}": "<",
    r"\%": "%",
    "--": "\N{EN DASH}",
}


class Said(NamedTuple):
    """One cell as a reader sees it; ``reason`` is the text behind its number below the table."""

    text: str
    interval: str
    verdict: str
    reason: str


CELL = re.compile(r"(?P<text>\S+?)(?:<(?P<note>\d+)>)?(?: (?P<interval>\[.*?\]))?(?: (?P<mark>[✓✗?]))?")


def said(cell: str, notes: dict[str, str]) -> Said:
    """A cell whose footnote was brought into the form ``<number>``."""
    found = CELL.fullmatch(cell)
    assert found, cell
    return Said(
        found["text"], found["interval"] or "", WORDS[found["mark"] or ""], notes.get(found["note"], "")
    )


def numbered(lines: list[str]) -> dict[str, str]:
    """Reasons by their number, from lines that begin with ``[number]``."""
    found = (re.fullmatch(r"\[(\d+)\] (.*)", line) for line in lines)
    return {one[1]: one[2] for one in found if one}


def in_markdown(text: str) -> list[list[Said]]:
    plain = re.sub(r"\\(.)", r"\1", text.replace(r"\|", "¦"))
    plain = html.unescape(re.sub(r"<sup>\[(\d+)\]</sup>", r"<\1>", plain))
    notes = numbered([line.removeprefix("- ") for line in plain.splitlines()])
    rows = [line.strip("|").split("|") for line in plain.splitlines() if line.startswith("|")][2:]
    return [[said(cell.strip(), notes) for cell in row[3:]] for row in rows]


def in_latex(text: str) -> list[list[Said]]:
    for written, sign in OF_LATEX.items():
        text = text.replace(written, sign)
    text = re.sub(r"\\textsuperscript\{(\d+)\}", r"<\1>", text)
    notes = numbered([line.removesuffix(r"\par") for line in text.splitlines()])
    parts = [part.split(r"\hline")[2].strip().splitlines() for part in text.split(r"\begin{tabular}")[1:]]
    rows = [
        [line.removesuffix(r"\\").split(" & ")[3:] for line in lines] for lines in zip(*parts, strict=True)
    ]
    return [[said(cell.strip(), notes) for part in row for cell in part] for row in rows]


def in_page(text: str) -> list[list[Said]]:
    board = text[text.index('<table class="board">') :]
    body, below = board.partition("<tbody>")[2].split("</tbody>", 1)
    listed = re.findall(r'<li id="note-\w+-(\d+)">(.*?)</li>', below)
    notes = {number: html.unescape(reason) for number, reason in listed}
    cells = [re.findall(r"<td data-key=.*?>(.*?)</td>", row, re.S) for row in body.split("</tr>")[:-1]]
    return [[of_page(cell, notes) for cell in row] for row in cells]


def of_page(cell: str, notes: dict[str, str]) -> Said:
    """A cell of the page; its verdict is written out beside the sign."""
    cell = re.sub(r"<svg.*?</svg>", "", cell)
    parts = {
        name: re.search(rf'<span class="{name}.*?>(.*?)</span>', cell) for name in ("interval", "verdict")
    }
    note = re.search(r"<sup><a .*?>(\d+)</a></sup>", cell)
    text = re.sub(r"<sup>.*?</sup>|<span class=\"(interval|verdict).*?</span>", "", cell)
    shown = {name: html.unescape(part[1]) if part else "" for name, part in parts.items()}
    mark, _, word = shown["verdict"].partition(" ")
    assert WORDS[mark] == word
    return Said(
        html.unescape(re.sub("<.*?>", "", text)), shown["interval"], word, notes[note[1]] if note else ""
    )


@pytest.fixture
def shown(built: Path) -> dict[str, list[list[Said]]]:
    read = {"md": in_markdown, "tex": in_latex}
    found = {form: parse((built / f"leaderboard.{form}").read_text("utf-8")) for form, parse in read.items()}
    return found | {"page": in_page((built / "report.html").read_text("utf-8"))}


@pytest.fixture
def board(built: Path) -> dict[str, Any]:
    (found,) = json.loads((built / "leaderboard.json").read_text("utf-8"))["boards"]
    return dict(found)


def columns_shown(built: Path) -> list[str]:
    text = (built / "report.html").read_text("utf-8")
    row = text[text.index('<table class="board">') :].partition("<tbody>")[2].partition("</tr>")[0]
    return re.findall(r'<td data-key="(\w+)"', row)


def test_the_page_markdown_and_latex_say_the_same_in_every_cell(shown: dict[str, list[list[Said]]]) -> None:
    assert shown["page"] == shown["md"] == shown["tex"]
    every = [cell for row in shown["page"] for cell in row]
    assert {cell.verdict for cell in every} >= {"undecided", ""}
    assert sum(bool(cell.interval) for cell in every) > 10
    assert sum(bool(cell.reason) for cell in every) > 10


def near(text: str, value: float) -> bool:
    """Whether ``text`` is ``value`` rounded to as many digits as it shows."""
    plain = text.replace(MINUS, "-").replace(",", "")
    decimals = len(plain.partition(".")[2])
    return abs(float(plain) - value) <= 0.5000001 * 10**-decimals


def test_what_is_shown_is_what_json_holds(
    built: Path, shown: dict[str, list[list[Said]]], board: dict[str, Any]
) -> None:
    keys, scales = columns_shown(built), {column["key"]: column["scale"] for column in board["columns"]}
    for row, cells in zip(board["rows"], shown["page"], strict=True):
        for key, cell in zip(keys, cells, strict=True):
            held = row["values"][key]
            assert cell.verdict == row["verdicts"].get(key, "")
            assert cell.reason == held.get("reason", "")
            if held.get("low") is None or held["value"] is None:
                assert not cell.interval
                continue
            ends = cell.interval.strip("[]").split(", ")
            assert all(
                near(end, held[name] * scales[key]) for end, name in zip(ends, ("low", "high"), strict=True)
            )


def test_csv_holds_what_json_holds(built: Path, board: dict[str, Any]) -> None:
    lines = list(csv.DictReader(io.StringIO((built / "leaderboard.csv").read_text("utf-8"))))
    for line, row in zip(lines, board["rows"], strict=True):
        for key, held in row["values"].items():
            ends = {f"{key}_{name}": held.get(name) for name in ("low", "high")} | {key: held["value"]}
            assert {name: line[name] for name in ends} == {
                name: "" if value is None else str(value) for name, value in ends.items()
            }
            if row["role"] != "reported" and "reason" in held:
                assert f"{key}: {held['reason']}" in line["missing"]
        for key, word in row["verdicts"].items():
            assert line[f"{key}_verdict"] == word
