from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from run_folders import write_runs

from replication_bench.results import Result
from reports import catalogue
from reports.board import Leaderboard
from reports.collect import Run
from reports.formats import FORMATS, as_csv, latex, markdown
from reports.grouping import make_boards
from reports.leaderboard import BoardTable

GOLDEN = Path(__file__).parent / "golden"
Make = Callable[..., Result]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[BoardTable]:
    return Leaderboard().tables(
        [write_runs(tmp_path_factory.mktemp("golden"), count=20, fingerprint="d" * 64)]
    )


@pytest.fixture(autouse=True)
def _only_our_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "own_texts", dict)


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_as_agreed(tables: list[BoardTable], form: str) -> None:
    """``REPLBENCH_WRITE_GOLDEN=1`` writes the files anew; look at the difference before it is kept."""
    path, found = GOLDEN / f"leaderboard.{form}", FORMATS[form](tables)
    if os.environ.get("REPLBENCH_WRITE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_every_format_and_the_page_hold_the_same_numbers(built: Path) -> None:
    rows = json.loads((built / "leaderboard.json").read_text())["boards"][0]["rows"]
    lines = list(csv.DictReader(io.StringIO((built / "leaderboard.csv").read_text())))
    page = (built / "report.html").read_text(encoding="utf-8")
    text = (built / "leaderboard.md").read_text(encoding="utf-8")
    tex = (built / "leaderboard.tex").read_text(encoding="utf-8")
    assert [line["label"] for line in lines] == [row["label"] for row in rows]
    in_text = [line.replace("&lt;", "<") for line in text.splitlines() if line.startswith("|")][2:]
    parts = [part.split(r"\hline")[2].strip().splitlines() for part in tex.split(r"\begin{tabular}")[1:]]
    in_tex = ["".join(lines) for lines in zip(*parts, strict=True)]
    for row, line, shown, md, la in zip(rows, lines, page_rows(page), in_text, in_tex, strict=True):
        assert len(shown) == md.replace(r"\|", "").count("|") - 4  # beside rank, method and seeds
        for key, (raw, written) in shown.items():
            value = row["values"][key]["value"]
            assert raw == ("" if value is None else repr(value))
            assert line[key] == ("" if value is None else str(value))
            assert value is None or f" {written} " in md
            assert value is None or f" {written} ".replace("<", r"\textless{}") in la


def page_rows(page: str) -> list[dict[str, tuple[str, str]]]:
    """Of each row of the page's table: the number in full and as written, by column."""
    body = page[page.index('<table class="board">') :].partition("<tbody>")[2].partition("</tbody>")[0]
    cell = re.compile(r'<td data-key="(\w+)"(?: data-value="([^"]*)")?>([^<]*(?:&lt;[^<]*)?)')
    return [
        {key: (raw, text.replace("&lt;", "<")) for key, raw, text in cell.findall(row)}
        for row in body.split("</tr>")[:-1]
    ]


def test_a_zero_is_a_zero_and_a_missing_value_its_reason(none: Result, loyal: Result, dual: Result) -> None:
    (board,) = make_boards([Run(result, Path("/nowhere")) for result in (none, loyal, dual)])
    table = BoardTable(board)
    text = markdown([table])
    loyal_line = next(line for line in text.splitlines() if line.startswith("| 1 | loyal"))
    dual_line = next(line for line in text.splitlines() if "dual (control)" in line)
    share = [column.key for column in table.columns].index("sim_gt_05pc") + 3
    r_star = [column.key for column in table.columns].index("r_star") + 3
    assert loyal_line.split("|")[share + 1].strip() == "0"
    assert dual_line.split("|")[r_star + 1].strip().startswith("\N{EN DASH}<sup>")
    assert "ceiling - floor &lt; 0.05" in text
    rows = {line["label"]: line for line in csv.DictReader(io.StringIO(as_csv([table])))}
    assert rows["loyal"]["sim_gt_05pc"] == "0.0"
    assert rows["dual"]["r_star"] == ""
    assert "r_star: ceiling - floor < 0.05" in rows["dual"]["missing"]


def odd_table(make: Make) -> BoardTable:
    """A method whose name is markup, a formula and LaTeX at once."""
    name = r"=<b>a_1|%$&#{}~^\x"
    (board,) = make_boards(
        [Run(make(), Path("/nowhere")), Run(make(name, note="50 % | *a*"), Path("/nowhere"))]
    )
    return BoardTable(board)


def test_odd_names_are_shown_and_not_obeyed(make: Make) -> None:
    table = odd_table(make)
    assert r"=&lt;b&gt;a\_1\|%$&#{}~^\\x" in markdown([table])
    assert next(csv.DictReader(io.StringIO(as_csv([table]))))
    assert {row["label"][:3] for row in csv.DictReader(io.StringIO(as_csv([table])))} == {"non", "'=<"}
    assert r"\%\$\&\#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}x" in latex([table])


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is missing (apt-get install texlive-latex-base)"
)
def test_latex_compiles(tables: list[BoardTable], make: Make, tmp_path: Path) -> None:
    (tmp_path / "board.tex").write_text(latex([*tables, odd_table(make)]), encoding="utf-8")
    ran = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "board.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert (tmp_path / "board.pdf").stat().st_size > 0
