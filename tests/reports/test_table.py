from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from replication_bench.errors import ConfigError, DataError
from replication_bench.results import Result
from reports.table import Table

Make = Callable[..., Result]

GOLDEN = """\
measurements
                    R ↓    95 % interval   mean ↓   share > 0.5 ↓0         R* ↓   reduction ↑   above floor ↑   KID, sscd ↓   images     params      time
method           cosine             of R   cosine            share   of ceiling     % of none       % of none       squared     seen   millions   seconds
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
none              0.546   [0.526, 0.566]    0.440            0.402        0.164             0               0       0.00123   10,000       8.80      90.5
loyal             0.509   [0.489, 0.529]    0.380                0        0.082          6.78           50.00       0.00151   10,000      17.70      90.5
dual (control)    0.472   [0.452, 0.492]    0.440            0.402           –¹         13.55          100.00       0.00123   10,000      17.60      90.5

¹ ceiling - floor < 0.05
reduction: 1 - R / R of none; above floor: the same with the floor taken from both
control: dual: published nowhere; it is here to tell causes apart
loyal: replication against the state-of-the-art mitigation, less by: 48.63 % (reported: SD 2.1, LAION, other protocol; arXiv 2412.01118)
openmoji: the images were chosen.

anchors: what a similarity means here
anchor                   value   95 % interval     n   meaning
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
floor                    0.472               –   256   held-out against train: what an innocent generator would score as R
floor, mean              0.333               –   256   the mean of the same similarities
background               0.470               –   256   train against train, each image without itself
ceiling                  0.923               –   256   train after the backbone's own VAE round trip
calibrated threshold     0.461               –   256   a quantile of held-out against train
false positives of 0.5       0               –   256   share of held-out images above 0.5
"""  # noqa: E501, RUF001


def text_of(renderable: RenderableType, width: int = 160) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(renderable)
    return "\n".join(line.rstrip() for line in console.export_text().splitlines()) + "\n"


def notes_of(*results: Result) -> str:
    return text_of(Table().notes(results), width=1000)


def test_the_whole_report_reads_as_agreed(none: Result, loyal: Result, dual: Result) -> None:
    assert text_of(Table().show([none, loyal, dual])) == GOLDEN


def test_reductions_of_a_row_follow_from_r_and_floor(none: Result, loyal: Result) -> None:
    row = Table().rows([none, loyal])[1]
    assert row["reduction"] == pytest.approx(1 - 0.509 / 0.546)
    assert row["reduction_floor"] == pytest.approx(1 - (0.509 - 0.472) / (0.546 - 0.472))


def test_another_reference_can_be_named(none: Result, loyal: Result) -> None:
    row = Table().rows([none, loyal], reference="loyal")[0]
    assert row["reduction"] == pytest.approx(1 - 0.546 / 0.509)
    assert row["control"] == "published nowhere; it is here to tell causes apart"


def test_a_missing_value_is_none_with_its_reason(none: Result, dual: Result) -> None:
    row = Table().rows([none, dual])[1]
    assert row["r_star"] is None
    assert row["missing"] == {"r_star": "ceiling - floor < 0.05"}


def test_a_measurement_that_was_never_made_has_a_reason(none: Result) -> None:
    bare = none.model_copy(update={"measurements": ()})
    row = Table().rows([bare])[0]
    assert row["missing"]["sim_mean"] == "not measured in this run"
    assert row["missing"]["reduction"] == "R is missing: not measured in this run"
    assert "¹ not measured in this run" in notes_of(bare)
    assert "\N{EN DASH}¹" in text_of(Table().render([bare]))


def test_without_the_reference_of_its_seed_a_row_has_no_reduction(make: Make, none: Result) -> None:
    row = Table().rows([none, make("loyal", seed=1)])[1]
    assert row["reduction"] is None
    assert row["missing"]["reduction"] == "no result of 'none' with seed 1 to compare with"


def test_a_row_is_compared_with_the_reference_of_its_own_budget(make: Make, none: Result) -> None:
    dear = make(budget=20_000, values={"R": 0.6})
    row = Table().rows([none, dear, make("loyal", budget=20_000, values={"R": 0.6})])[2]
    assert row["reduction"] == 0


def test_exact_zero_differs_from_rounded_zero(make: Make, none: Result) -> None:
    shown = text_of(Table().render([none, make("loyal", values={"sim_gt_05pc": 0.0001, "sim_mean": 0.0})]))
    line = next(line for line in shown.splitlines() if line.startswith("loyal"))
    assert line.split()[5:7] == ["0", "0.000"]


def test_a_negative_value_is_shown_as_one(make: Make, none: Result) -> None:
    shown = text_of(Table().render([make(values={"kd_heldout": -0.00002})]))
    assert "-0.00002" in shown


def test_a_budget_above_the_smallest_makes_a_control(make: Make, none: Result) -> None:
    rows = Table().rows([none, make(budget=20_000)])
    assert [row["control"] for row in rows] == [
        "",
        "its budget of 20,000 images is above the group's smallest, 10,000",
    ]
    assert "none (control)" in text_of(Table().render([none, make(budget=20_000)]))


def test_a_published_method_is_no_control(none: Result, loyal: Result) -> None:
    assert [row["control"] for row in Table().rows([none, loyal])] == ["", ""]


def test_seeds_are_shown_when_there_are_several(make: Make, none: Result, loyal: Result) -> None:
    assert "seed" not in text_of(Table().render([none, loyal]))
    assert "seed" in text_of(Table().render([none, make(seed=1)]))


@pytest.mark.parametrize(
    ("change", "first", "second"),
    [
        ({"data": "1" * 64}, "d" * 12, "1" * 12),
        ({"backbone": "2" * 64}, "b" * 12, "2" * 12),
        ({"protocol": "3" * 64}, "p" * 12, "3" * 12),
        ({"budget_rule": "per_stage"}, "total", "per_stage"),
    ],
)
def test_unlike_boards_are_refused_with_both_values(
    make: Make, none: Result, change: dict[str, str], first: str, second: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Table().render([none, make("loyal", **change)])
    line = str(caught.value)
    assert f"{first} (openmoji-none-0-0123abcd)" in line
    assert f"{second} (openmoji-loyal-0-0123abcd)" in line
    assert "\n" not in line


def test_no_results_are_refused() -> None:
    assert Table().rows([]) == []
    with pytest.raises(DataError, match="no results"):
        Table().render([])


def test_markup_and_control_characters_are_shown_and_not_obeyed(make: Make, none: Result) -> None:
    odd = make(
        "[red]odd[/red]",
        note="[bold]a note[/bold]\x1b[31m",
        notes={"R": "[link=x]few rows[/link]"},
        values={"r_star": "[red]no ceiling"},
        reported=({"claim": "[b]c[/b]", "value": 1, "unit": "%", "protocol": "[i]p", "source": ""},),
    )
    shown = text_of(Table().show([none, odd]), width=300)
    for literal in (
        "[red]odd[/red]",
        "[bold]a note[/bold] [31m",
        "R: [link=x]few rows[/link]",
        "[red]no ceiling",
    ):
        assert literal in shown
    assert "[b]c[/b]: 1 % (reported: [i]p, other protocol)" in shown
    assert "\x1b" not in shown


def test_a_claim_is_shown_once_for_all_seeds_of_a_method(loyal: Result) -> None:
    again = loyal.model_copy(update={"seed": 1})
    assert notes_of(loyal, again).count("48.63 %") == 1


def test_a_claims_protocol_is_not_called_other_twice(make: Make, loyal: Result) -> None:
    claim = loyal.method.reported[0] | {"protocol": "SD 2.1, LAION, other protocol"}
    result = make("loyal", reported=(claim,))
    assert "(reported: SD 2.1, LAION, other protocol; arXiv 2412.01118)" in notes_of(result)


def test_an_anchor_that_differs_between_results_names_its_methods(make: Make, none: Result) -> None:
    shown = text_of(Table().anchors([none, make("dedup", values={"floor_95pc": 0.4})]))
    assert "floor (none)" in shown
    assert "floor (dedup)" in shown


def test_a_missing_anchor_has_its_reason(make: Make, none: Result) -> None:
    shown = text_of(Table().anchors([make(values={"threshold": "fewer than 10 rows"})]))
    assert "a quantile of held-out against train; missing: fewer than 10 rows" in shown


def test_the_quantile_stands_beside_the_threshold(make: Make, none: Result) -> None:
    shown = text_of(Table().anchors([make(notes={"threshold": "quantile 0.92 of 128"})]))
    assert "quantile 0.92 of 128" in shown


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_is_cut_at_any_usual_width(none: Result, loyal: Result, dual: Result, width: int) -> None:
    shown = text_of(Table().show([none, loyal, dual]), width)
    for number in ("[0.489, 0.529]", "0.00151", "17.70", "13.55", "10,000", "90.5", "0.509"):
        assert number in shown
    assert "…" not in shown


def test_reports_import_no_torch() -> None:
    code = "import sys, reports.table, reports.pairs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
