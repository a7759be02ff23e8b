"""What an audit shows: how many copies there are, the closest pairs, the numbers behind them, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from replication_bench.results import Match, Measurement, Result
from reports.columns import MISSING, Column
from reports.pairs import read_matches
from reports.terminal import new_grid, plain
from reports.values import of_measurement

PAIRS = 10
SHOWN = (
    ("copies_share", "share of copies"),
    ("copied_groups", "different groups copied"),
    ("template_share", "share of template copies"),
    ("copy_threshold", "threshold of a copy (labels)"),
    ("R", "R, 95th percentile"),
    ("sim_mean", "mean similarity"),
    ("sim_max", "highest similarity"),
    ("sim_gt_05pc", "share above 0.5"),
    ("own_prompt_mean", "own prompt, mean"),
    ("alignment_mean", "fit to the prompts"),
    ("fid_heldout", "FID against held-out"),
    ("fid_train", "FID against train"),
    ("floor_95pc", "held-out, 95th percentile"),
    ("threshold", "quantile threshold (shares)"),
    ("sim_gt_calibrated", "share above the quantile"),
    ("bg_95pc", "train to train, 95th percentile"),
    ("train_grouped", "share of training images in groups"),
    ("copies_from_grouped", "share of copies from groups"),
)


class Audit:
    """The reporter ``audit``."""

    def show(self, result: Result, folder: Path) -> Group:
        """Everything as one renderable.

        Args:
            result: of an audit.
            folder: holds ``matches.parquet``.

        Raises:
            DataError: the matches are missing or broken.
        """
        matches = read_matches(folder / "matches.parquet")
        return Group(
            headline(result, matches), Text(), pairs(matches), Text(), numbers(result), Text(), notes(result)
        )


def headline(result: Result, matches: Sequence[Match]) -> Text:
    """The answer in one line."""
    found = [m for m in matches if m.rank == 1]
    copies = [m for m in found if m.label == "exact"]
    parts = len({m.generated for m in matches if m.label == "template"} - {m.generated for m in copies})
    limit = result.value("copy_threshold")
    above = f" above {limit:.3g}" if limit is not None else ""
    sources = len({m.train for m in copies})
    text = f"{len(copies)} of {len(found)} generated images are copies (similarity{above})"
    ending = f" of {sources} training images" if copies else ""
    more = f"; {parts} more copy half of an image (template)" if parts else ""
    return Text(text + ending + more, style="bold red" if copies or parts else "bold")


def pairs(matches: Sequence[Match]) -> Grid:
    """The closest pairs, the worst first."""
    grid = new_grid("closest pairs")
    own = any(m.own_prompt is not None for m in matches)
    headers = ("similarity", *(("own prompt",) if own else ()), "label", "group", "generated", "train")
    for header in headers:
        numeric = header in ("similarity", "own prompt", "group")
        grid.add_column(Text(header), justify="right" if numeric else "left", overflow="fold")
    nearest = sorted((m for m in matches if m.rank == 1), key=lambda m: (-m.similarity, m.generated))
    for m in nearest[:PAIRS]:
        mine = (f"{m.own_prompt:.3f}" if m.own_prompt is not None else MISSING,) if own else ()
        size = str(m.group_size or MISSING)
        grid.add_row(*map(plain, (f"{m.similarity:.3f}", *mine, m.label, size, m.generated, m.train)))
    return grid


def embedders(result: Result) -> list[str]:
    """Hashes of the protocols, in the order of the audit; an image-text model has no column of its own."""
    found = [m.protocol for m in result.measurements if m.name == "copy_threshold" and m.protocol]
    return found or [result.protocol]


def title_of(result: Result, protocol: str) -> str:
    """The protocol's name, or the embedder's where it is not told."""
    known = result.config.get("embedders", [])
    place = embedders(result).index(protocol)
    return str(known[place]["protocol"]) if place < len(known) else protocol[:12]


def numbers(result: Result) -> Grid:
    """The measurements, one column an embedder."""
    protocols = embedders(result)
    grid = new_grid("numbers")
    grid.add_column(Text("measurement"))
    for protocol in protocols:
        grid.add_column(Text(title_of(result, protocol)), justify="right", no_wrap=True)
    for name, text in SHOWN:
        found = {m.protocol: m for m in result.measurements if m.name == name}
        elsewhere = next((m for protocol, m in found.items() if protocol not in protocols), None)
        columns = [found.get(protocol) for protocol in protocols]
        columns[0] = columns[0] or elsewhere
        if any(m is not None and m.value is not None for m in columns):
            grid.add_row(plain(text), *(plain(cell(one)) for one in columns))
    return grid


def cell(found: Measurement | None) -> str:
    """Value and interval."""
    value = of_measurement(found)
    decimals = 0 if found is not None and found.unit == "count" else 3
    column = Column("", "", decimals=decimals)
    return f"{column.text(value)} {Column('', '').interval(value)}".rstrip()


def notes(result: Result) -> Group:
    """What was read, what was left out, what is missing and why."""
    lines = [sets_line(result), *result.notes]
    rule = result.measurement("copy_threshold")
    lines += [f"copy: {rule.note}"] if rule and rule.note else []
    fit = result.measurement("alignment_mean")
    lines += [f"fit to the prompts: {fit.note}"] if fit and fit.note else []
    lines += [note for images in result.images for note in images.notes]
    reasons: dict[str, list[str]] = {}
    for m in result.measurements:
        if m.reason is not None and m.name in dict(SHOWN):
            reasons.setdefault(m.reason, []).append(dict(SHOWN)[m.name])
    lines += [f"not measured: {', '.join(dict.fromkeys(names))}: {why}" for why, names in reasons.items()]
    return Group(*map(plain, dict.fromkeys(lines)))


def sets_line(result: Result) -> str:
    """How many images of each set were used, skipped, or animated."""
    parts = []
    for images in result.images:
        extra = [f"{images.skipped} skipped"] if images.skipped else []
        extra += [f"first frame of {images.first_frame} animated"] if images.first_frame else []
        parts.append(f"{images.used} {images.role}" + (f" ({', '.join(extra)})" if extra else ""))
    return ", ".join(parts)
