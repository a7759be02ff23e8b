"""What a run shows at its end: the leaderboard in the terminal, and the anchors."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from replication_bench.errors import DataError
from replication_bench.results import Result
from replication_bench.store import write_json
from reports import catalogue
from reports.table import Table

Make = Callable[..., Result]
Show = Callable[..., str]
GOLDEN = Path(__file__).parent / "golden" / "table.txt"


def text_of(renderable: RenderableType, width: int) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n"


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Writes results as runs without matches, and returns what a terminal of a width shows of them."""
    monkeypatch.setattr(catalogue, "own_texts", dict)

    def shown(*results: Result, width: int = 160, reference: str = "none") -> str:
        for result in results:
            write_json(tmp_path / result.id / "result.json", result.model_dump(mode="json"))
        folders = [tmp_path / result.id for result in results]
        return text_of(Table().show(folders, reference), width)

    return shown


def line_of(shown: str, start: str) -> str:
    return next(line for line in shown.splitlines() if line.startswith(start))


def test_the_whole_table_reads_as_agreed(none: Result, loyal: Result, dual: Result, show: Show) -> None:
    """``REPLBENCH_WRITE_GOLDEN=1`` writes the file anew; look at the difference before it is kept."""
    found = show(none, loyal, dual)
    if os.environ.get("REPLBENCH_WRITE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_exact_zero_differs_from_rounded_zero(make: Make, none: Result, show: Show) -> None:
    shown = show(none, make("loyal", values={"sim_gt_05pc": 0.0001, "sim_mean": 0.0}))
    assert set(line_of(shown, "mean similarity").split()[-2:]) == {"0", "0.440"}
    assert "0.0" in line_of(shown, "share > 0.5").split()


def test_a_negative_value_is_shown_as_one(make: Make, show: Show) -> None:
    assert "\N{MINUS SIGN}0.00002" in show(make(values={"kd_heldout": -0.00002}))


def test_the_numbers_of_another_reference_are_counted_from_it(
    none: Result, loyal: Result, show: Show
) -> None:
    assert "less copying than loyal" in show(none, loyal, reference="loyal")


def test_markup_and_control_characters_are_shown_and_not_obeyed(make: Make, none: Result, show: Show) -> None:
    claim = {"claim": "[b]c[/b]", "value": 1, "unit": "%", "protocol": "[i]p", "source": ""}
    odd = make(
        "[red]odd[",
        note="[bold]a note[/bold]\x1b[31m",
        notes={"R": "[link=x]few rows"},
        values={"r_star": "[red]no ceiling"},
        reported=(claim,),
    ).model_copy(update={"id": "odd"})
    shown = show(none, odd, width=300)
    for literal in ("[red]odd[", "[bold]a note[/bold] [31m", "[link=x]few rows", "[red]no ceiling"):
        assert literal in shown
    assert "[b]c[/b]: 1 % (reported: [i]p, other protocol)" in shown
    assert "\x1b" not in shown


def test_a_claim_is_shown_once_for_all_seeds_and_is_not_called_other_twice(make: Make, show: Show) -> None:
    claim = {
        "claim": "less copying",
        "value": 48.63,
        "unit": "%",
        "protocol": "SD 2.1, other protocol",
        "source": "a",
    }
    shown = show(*(make("loyal", seed=seed, reported=(claim,), paper="a") for seed in (0, 1)), width=300)
    assert shown.count("less copying: 48.63 % (reported: SD 2.1, other protocol, a)") == 1


@pytest.mark.parametrize("width", [60, 80, 160, 400])
def test_a_reason_is_told_where_a_cell_points_to_it(width: int, make: Make, none: Result, show: Show) -> None:
    """The row of what a paper prints stands in the wide form alone, and so do the reasons of its dashes."""
    claim = {"claim": "less copying", "value": 48.63, "unit": "%", "protocol": "SD 2.1", "source": ""}
    odd = make("loyal", values={"r_star": "no ceiling"}, reported=(claim,))
    shown = show(none, odd, width=width)
    told = set(re.findall(r"^\[(\d+)\] ", shown, re.M))
    assert told
    assert told == set(re.findall(r" \[(\d+)\]", shown))


def test_an_anchor_that_differs_between_rows_names_them(make: Make, none: Result, show: Show) -> None:
    shown = show(none, make("dedup", values={"floor_95pc": 0.4}))
    assert "floor (none)" in shown
    assert "floor (dedup)" in shown


def test_a_missing_anchor_has_its_reason_and_a_quantile_its_note(make: Make, show: Show) -> None:
    shown = show(make(values={"threshold": "fewer than 10 rows"}))
    assert "a quantile of held-out against train; missing: fewer than 10 rows" in shown
    assert "quantile 0.92 of 128" in show(make(notes={"threshold": "quantile 0.92 of 128"}))


@pytest.mark.parametrize("width", [60, 80, 100, 160, 400])
def test_no_number_is_cut_at_any_width(
    none: Result, loyal: Result, dual: Result, show: Show, width: int
) -> None:
    shown = show(none, loyal, dual, width=width)
    assert "…" not in shown
    assert "[0.489, 0.529]" in shown
    if width >= 80:
        for number in ("0.00151", "17.70", "10,000", "70.0", "0.509"):
            assert number in shown


def test_many_rows_stand_in_pieces_that_fit_and_leave_nothing_out(
    make: Make, none: Result, show: Show
) -> None:
    shown = show(none, *(make(f"method-{i}", paper="a") for i in range(9)), width=80)
    table = shown.partition("\n[1] ")[0]
    assert max(map(len, table.splitlines()[3:])) <= 80
    for title in (
        "[0.526, 0.566]",
        "less copying than none",
        "kernel distance",
        "share > calibrated",
        "network calls",
    ):
        assert title in table
    assert table.count("method-8") == table.count("seeds") > 1


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no results"):
        Table().show([tmp_path])


def test_reports_import_no_torch() -> None:
    code = "import sys, reports.table, reports.pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
