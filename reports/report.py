"""The reporter ``report``: one page that needs nothing else, tables in four formats, and every picture as a file."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from replication_bench._version import __version__
from replication_bench.store import check_writable, write_atomic
from reports.board import tables_of
from reports.collect import Collection, Run, collect
from reports.facts import name_of
from reports.figure_files import write_figures
from reports.figures.all import Pictures, pictures
from reports.formats import FORMATS
from reports.gallery import Gallery
from reports.leaderboard import BoardTable
from reports.page_view import board_view, glossary, tints_of
from reports.privacy import Rules, make_rules

SCRIPTS = ("page.js", "gallery.js")
TITLE = "Replication report"
BUDGET = 15_000_000  # bytes of thumbnails; with pictures and rows the page stays below 25 MB
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a report is made.

    Attributes:
        reference: reductions are counted from this method.
        sort: rows are ranked by this column.
        together: refuse results that need more than one board.
        redact: leave out training images and captions even where anyone may see them, and blur generated images.
        blur: the same, but training images are blurred instead of left out.
        show_training_images: show them all, and their captions.
        gallery: largest number of pairs.
        thumbnail: pixels of a thumbnail's side.
        title: of the page.
    """

    reference: str = "none"
    sort: str = "R"
    together: bool = False
    redact: bool = False
    blur: bool = False
    show_training_images: bool = False
    gallery: int = 3000
    thumbnail: int = 96
    title: str = TITLE

    @property
    def rules(self) -> Rules:
        """What may be shown."""
        return make_rules(show=self.show_training_images, redact=self.redact, blur=self.blur)


class Report:
    """The reporter ``report``."""

    def build(
        self, paths: Sequence[str | Path], out: Path, watch: Watch = lambda step: None, **options: Any
    ) -> list[Path]:
        """Write the report into ``out`` and return its files, the page first.

        Args:
            paths: results, folders of runs, or patterns.
            out: the folder; files of an earlier report in it are replaced, and pictures that this one lacks removed.
            watch: told what is being done.
            options: see ``Options``.

        Raises:
            DataError: no results, or broken ones.
            ConfigError: see ``reports.board.tables_of``.
            StoreError: ``out`` cannot be written.
        """
        chosen = Options(**options)
        _ = chosen.rules  # what contradicts itself is refused before anything is read
        watch("reading results")
        found = collect(paths)
        tables = tables_of(found, chosen.reference, chosen.sort, together=chosen.together)
        check_writable(out)
        watch("comparing runs")
        written = [write_text(out / f"leaderboard.{form}", make(tables)) for form, make in FORMATS.items()]
        watch("drawing pictures")
        drawn = [pictures(table) for table in tables]
        prefixes = [f"{table.board.id}-" if len(tables) > 1 else "" for table in tables]
        written += write_figures(list(zip(prefixes, drawn, strict=True)), out / "figures")
        watch("building the gallery")
        page = write_text(out / "report.html", render(found, tables, drawn, chosen))
        return [page, *written]


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return path


def render(
    found: Collection, tables: Sequence[BoardTable], drawn: Sequence[Pictures], options: Options
) -> str:
    """The page."""
    scripts = [read_asset(name) for name in SCRIPTS]
    rules, results = options.rules, [run.result for run in found.runs]
    gallery = Gallery(tables, rules, limit=options.gallery, side=options.thumbnail, budget=BUDGET)
    data = with_tints(gallery.build(), tables) | words({rules.of(result).shows for result in results})
    return template().render(
        title=options.title,
        subtitle=subtitle(found),
        version=__version__,
        style=Markup(read_asset("style.css")),
        scripts=[Markup(script) for script in scripts],
        script_hashes=Markup(" ".join(map(script_hash, scripts))),
        notices=rules.notices(results),
        boards=[board_view(*pair) for pair in zip(tables, drawn, strict=True)],
        boards_differ=difference(tables),
        collection_notes=unfinished(found),
        gallery=data,
        gallery_notes=gallery.notes(),
        gallery_json=Markup(as_script_json(data)),
        glossary=glossary(tables),
        runs=[run_view(run) for run in found.runs],
    )


def template() -> Any:
    """The page's template; everything that it is given is escaped, and a missing name is an error."""
    environment = Environment(
        autoescape=select_autoescape(default_for_string=True, default=True), undefined=StrictUndefined
    )
    return environment.from_string(read_asset("report.html.j2"))


def read_asset(name: str) -> str:
    """A file of the page."""
    return (files("reports") / "page" / name).read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """What lets exactly this script run, and no other."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def as_script_json(data: Any) -> str:
    """JSON that cannot end the element that it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return (
        text.replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("\u2028", "\\u2028")
    )


def with_tints(data: dict[str, Any], tables: Sequence[BoardTable]) -> dict[str, Any]:
    """The gallery's data with the colours of its groups."""
    tints = [tint for table in tables for tint in tints_of(table).values()]
    for group, tint in zip(data["groups"], tints, strict=True):
        group |= {"tint": tint, "colour": int(tint[1:]) if tint else -1}
    return data


def words(shown: set[bool]) -> dict[str, str]:
    """What stands in place of a picture or a caption; ``shown``: whether datasets are shown, of all of them."""
    return {
        "absent": "picture not available"
        if shown == {True}
        else "left out"
        if shown == {False}
        else "not shown",
        "withheld": "caption left out" if shown == {False} else "no caption shown",
        "search": "search captions" if True in shown else "",
    }


def subtitle(found: Collection) -> str:
    """How many runs of what."""
    methods = list(dict.fromkeys(name_of(run.result) for run in found.runs))
    seeds = {run.result.seed for run in found.runs}
    return f"{len(found.runs)} runs, {len(seeds)} seed{'s' if len(seeds) != 1 else ''}: {', '.join(methods)}"


def unfinished(found: Collection) -> list[str]:
    """A sentence about runs without a result."""
    names = ", ".join(path.name for path in found.unfinished)
    return [f"Not finished, and therefore not in this report: {names}."] if names else []


def difference(tables: Sequence[BoardTable]) -> str:
    """In what the first two boards differ."""
    return tables[0].board.unlike(tables[1].board) if len(tables) > 1 else ""


def run_view(run: Run) -> dict[str, Any]:
    """A line of the list of runs."""
    result = run.result
    method = result.method
    return {
        "id": result.id,
        "method": name_of(result),
        "seed": result.seed,
        "version": f"{method.distribution} {method.version}"
        if method
        else result.packages.get("replbench", ""),
        "commit": (result.commit or "")[:12],
        "device": result.device,
        "created": result.created,
    }
