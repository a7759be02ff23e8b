"""The table that a run shows: its measurements, the notes that belong below them, and the anchors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement as Width
from rich.table import Table as Grid
from rich.text import Text

from replication_bench.errors import DataError
from replication_bench.results import Measurement, Result
from reports.rows import MEASURED, Row, make_rows, value_or_reason

ARROWS = {"up": "↑", "down": "↓", "zero": "↓0", "reference": ""}
MISSING = "\N{EN DASH}"
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ANCHORS = (
    ("floor_95pc", "floor", "held-out against train: what an innocent generator would score as R"),
    ("floor_mean", "floor, mean", "the mean of the same similarities"),
    ("bg_95pc", "background", "train against train, each image without itself"),
    ("ceiling_95pc", "ceiling", "train after the backbone's own VAE round trip"),
    ("threshold", "calibrated threshold", "a quantile of held-out against train"),
    ("floor_gt_05pc", "false positives of 0.5", "share of held-out images above 0.5"),
)


@dataclass(frozen=True)
class Column:
    """One column: its key in a row, its header, and how its numbers are written.

    Attributes:
        scale: numbers are multiplied by it; 100 for percent.
        decimals: digits behind the point.
    """

    key: str
    title: str
    unit: str = ""
    scale: float = 1
    decimals: int = 3

    @property
    def header(self) -> Text:
        """The title with its direction, and the unit on the line below."""
        return plain(self.title, *filter(None, [self.unit]))

    @property
    def justify(self) -> Literal["left", "right"]:
        """Words to the left, numbers to the right."""
        return "left" if self.key == "method" else "right"

    def text(self, value: float | None) -> str:
        """A number as written; exactly zero is '0', unlike one that was rounded to 0.000."""
        if value is None:
            return MISSING
        return "0" if value == 0 else f"{value * self.scale:,.{self.decimals}f}"

    def cell(self, row: Row, marks: dict[str, str]) -> str:
        """What stands in this column for ``row``; ``marks`` are the footnotes of missing values."""
        if self.key == "method":
            return f"{row['method']} (control)" if row["control"] else str(row["method"])
        if self.key == "seed":
            return str(row["seed"])
        if self.key == "R_low":
            return interval(row["R_low"], row["R_high"]) + mark_of(row, "R_low", marks)
        return self.text(row[self.key]) + mark_of(row, self.key, marks)


class Table:
    """The reporter ``table``. ``reference`` is the method that reductions are counted from."""

    def rows(self, results: Sequence[Result], reference: str = "none") -> list[Row]:
        """One dictionary a result, in the given order; its ``missing`` says why a value is None.

        Raises:
            ConfigError: results of unlike boards.
        """
        return make_rows(results, reference)

    def render(self, results: Sequence[Result], reference: str = "none") -> Grid:
        """The table of measurements, without its notes.

        Raises:
            ConfigError: results of unlike boards.
            DataError: no results.
        """
        columns, lines = cells(results, reference)
        grid = new_grid("measurements")
        for column in columns:
            grid.add_column(column.header, justify=column.justify, no_wrap=column.key != "method")
        for line in lines:
            grid.add_row(*map(plain, line))
        return grid

    def render_narrow(self, results: Sequence[Result], reference: str = "none") -> Grid:
        """The same table turned on its side, for terminals in which ``render`` would be cut."""
        columns, lines = cells(results, reference)
        grid = new_grid("measurements")
        grid.add_column(columns[0].header)
        for line in lines:
            grid.add_column(plain(line[0]), justify="right")
        for column, values in zip(columns[1:], list(zip(*lines, strict=True))[1:], strict=True):
            grid.add_row(plain(", ".join(filter(None, (column.title, column.unit)))), *map(plain, values))
        return grid

    def notes(self, results: Sequence[Result], reference: str = "none") -> Group:
        """What stands below: reasons of missing values, controls, shared training, warnings, claims, notes."""
        rows = make_rows(results, reference)
        lines = [f"{mark} {reason}" for reason, mark in footnotes(rows).items()]
        lines.append(
            f"reduction: 1 - R / R of {reference}; above floor: the same with the floor taken from both"
        )
        lines += [f"control: {row['method']}: {row['control']}" for row in rows if row["control"]]
        lines += [*shared_training(results), *warnings(results), *claims(results)]
        lines += [note for r in results for note in (r.dataset.note, *r.notes) if note]
        return Group(*map(plain, dict.fromkeys(lines)))

    def anchors(self, results: Sequence[Result]) -> Grid:
        """What sets that were not generated score; one line where all results agree, else one a value."""
        grid = new_grid("anchors: what a similarity means here")
        grid.add_column(Text("anchor"))
        for header in ("value", confidence(results), "n"):
            grid.add_column(Text(header), justify="right", no_wrap=True)
        grid.add_column(Text("meaning"))
        for name, label, meaning in ANCHORS:
            for found, methods in distinct(results, name):
                owners = "" if len(methods) == len(results) else f" ({', '.join(dict.fromkeys(methods))})"
                grid.add_row(*map(plain, anchor_cells(found, label + owners, meaning)))
        return grid

    def show(self, results: Sequence[Result], reference: str = "none") -> Group:
        """Table, notes and anchors as one renderable that suits the width it is given."""
        table = Fitting(self.render(results, reference), self.render_narrow(results, reference))
        return Group(table, Text(), self.notes(results, reference), Text(), self.anchors(results))


@dataclass(frozen=True)
class Fitting:
    """The wide table where it fits, else the narrow one."""

    wide: Grid
    narrow: Grid

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wanted = Width.get(console, options.update(width=10_000), self.wide).maximum
        yield self.wide if wanted <= options.max_width else self.narrow


def cells(results: Sequence[Result], reference: str) -> tuple[list[Column], list[list[str]]]:
    """The columns and what stands in them, a list for each result."""
    if not results:
        raise DataError("there are no results to show")
    rows = make_rows(results, reference)
    columns, marks = columns_of(results, reference), footnotes(rows)
    return columns, [[column.cell(row, marks) for column in columns] for row in rows]


def columns_of(results: Sequence[Result], reference: str) -> list[Column]:
    """The columns for these results; units, directions and decimals follow their measurements."""
    seeds = [Column("seed", "seed")] if len({r.seed for r in results}) > 1 else []
    embedder = next(
        (m.embedder for r in results if (m := r.measurement("kd_heldout")) and m.embedder), "embedder"
    )
    against = f"% of {reference}"
    return [
        Column("method", "method"),
        *seeds,
        measured(results, "R", "R"),
        Column("R_low", confidence(results), "of R"),
        measured(results, "sim_mean", "mean"),
        measured(results, "sim_gt_05pc", "share > 0.5"),
        measured(results, "r_star", "R*"),
        Column("reduction", "reduction ↑", against, 100, 2),
        Column("reduction_floor", "above floor ↑", against, 100, 2),
        measured(results, "kd_heldout", f"KID, {embedder}"),
        Column("images", "images", "seen", decimals=0),
        Column("parameters", "params", "millions", 1e-6, 2),
        Column("seconds", "time", "seconds", decimals=1),
    ]


def measured(results: Sequence[Result], name: str, title: str) -> Column:
    """The column of one measurement, with three digits of its largest value."""
    found = [m for r in results if (m := r.measurement(name))]
    if not found:
        return Column(name, title)
    sizes = [abs(m.value) for m in found if m.value and math.isfinite(m.value)]
    decimals = min(max(3, 2 - math.floor(math.log10(max(sizes)))), 6) if sizes else 3
    return Column(name, f"{title} {ARROWS[found[0].better]}".strip(), found[0].unit, 1, decimals)


def interval(low: float | None, high: float | None) -> str:
    """Both ends in brackets."""
    return MISSING if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def footnotes(rows: Sequence[Row]) -> dict[str, str]:
    """A superscript mark for every distinct reason, in the order of the table."""
    reasons = dict.fromkeys(reason for row in rows for reason in row["missing"].values())
    return {reason: str(number).translate(SUPERSCRIPTS) for number, reason in enumerate(reasons, 1)}


def mark_of(row: Row, key: str, marks: dict[str, str]) -> str:
    """The footnote mark of a missing value; empty where the value is there."""
    return marks[row["missing"][key]] if key in row["missing"] else ""


def shared_training(results: Sequence[Result]) -> list[str]:
    """Which runs use the weights of another one."""
    return [
        f"{r.ran.method.name}: trained in {r.ran.cost.trained_in}, whose seconds of training are counted"
        for r in results
        if r.ran.cost.trained_in
    ]


def warnings(results: Sequence[Result]) -> list[str]:
    """The notes of the measurements in the table."""
    shown = [m for name in MEASURED for r in results if (m := r.measurement(name)) and m.note]
    return [f"{m.name}: {m.note}" for m in shown]


def claims(results: Sequence[Result]) -> list[str]:
    """What the methods' papers print, marked so that nobody takes it for a measurement."""
    return [
        claim_line(result.ran.method.name, claim)
        for result in results
        for claim in result.ran.method.reported
    ]


def claim_line(method: str, claim: dict[str, object]) -> str:
    """A printed number: 'loyal: less copying: 48.63 % (reported: SD 2.1, LAION, other protocol; source)'."""
    protocol = str(claim.get("protocol", "")).removesuffix("other protocol").rstrip(", ")
    conditions = ", ".join(filter(None, (protocol, "other protocol")))
    source = f"; {claim['source']}" if claim.get("source") else ""
    return f"{method}: {claim['claim']}: {claim['value']} {claim['unit']} (reported: {conditions}{source})"


def distinct(results: Sequence[Result], name: str) -> list[tuple[Measurement | None, list[str]]]:
    """The different values of one measurement, each with the methods that have it."""
    groups: dict[object, tuple[Measurement | None, list[str]]] = {}
    for result in results:
        found = result.measurement(name)
        groups.setdefault(value_or_reason(found), (found, []))[1].append(result.ran.method.name)
    return list(groups.values())


def anchor_cells(found: Measurement | None, label: str, meaning: str) -> list[str]:
    """One line of the anchors; a missing value has its reason in the last cell."""
    if found is None or found.value is None:
        return [label, MISSING, MISSING, MISSING, f"{meaning}; missing: {value_or_reason(found)}"]
    n = MISSING if found.n is None else f"{found.n:,}"
    text = Column(found.name, label).text(found.value)
    return [label, text, interval(found.low, found.high), n, "; ".join(filter(None, (meaning, found.note)))]


def confidence(results: Sequence[Result]) -> str:
    """The header of intervals: '95 % interval'."""
    shares = {r.config.get("measure", {}).get("confidence") for r in results}
    share = shares.pop() if len(shares) == 1 else None
    return f"{100 * share:g} % interval" if isinstance(share, float) else "interval"


def new_grid(title: str) -> Grid:
    """An empty table in the style of this project."""
    return Grid(title=Text(title), title_justify="left", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)


def plain(*lines: str) -> Text:
    """Lines shown as they are: no markup is read, and no control character reaches the terminal."""
    return Text("\n".join("".join(c if c.isprintable() else " " for c in line) for line in lines))
