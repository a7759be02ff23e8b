"""Leaderboards as Markdown, CSV, LaTeX and JSON; all from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from reports.formats.data import as_csv, as_json
from reports.formats.latex import latex
from reports.formats.markdown import markdown
from reports.leaderboard import BoardTable

FORMATS: Mapping[str, Callable[[Sequence[BoardTable]], str]] = {
    "md": markdown,
    "csv": as_csv,
    "tex": latex,
    "json": as_json,
}
