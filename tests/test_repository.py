"""What is committed says nothing about the machine that it was made on, and cites each repository at one commit."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(Path(str(files("replication_bench"))).glob("backbones/*/*/config.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_a_shipped_part_does_not_name_the_folder_it_came_from(path: Path) -> None:
    assert "_name_or_path" not in json.loads(path.read_text(encoding="utf-8"))


def test_there_are_shipped_parts() -> None:
    assert len(CONFIGS) >= 3


def citations() -> dict[str, set[str]]:
    """The commits at which pages, recipes and code cite each repository."""
    found = defaultdict(set)
    for folder in ("docs", "replication_bench/recipes", "baselines", "loyal"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".md", ".toml", ".py"):
                text = " ".join(path.read_text(encoding="utf-8").replace("#", " ").split())
                for name, commit in re.findall(r"([\w.-]+/[\w.-]+),? (?:at|commit) ([0-9a-f]{7})\b", text):
                    found[name].add(commit)
    return dict(found)


def test_a_repository_is_cited_at_one_commit() -> None:
    cited = citations()
    assert {"somepago/DCR", "Jingqi-Xu/FPAN_diffusion", "HowardLi0816/dual-fusion-diffusion"} <= set(cited)
    assert {name: commits for name, commits in cited.items() if len(commits) > 1} == {}
