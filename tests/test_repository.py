"""What is committed says nothing about the machine that it was made on."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest

CONFIGS = sorted(Path(str(files("replication_bench"))).glob("backbones/*/*/config.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_a_shipped_part_does_not_name_the_folder_it_came_from(path: Path) -> None:
    assert "_name_or_path" not in json.loads(path.read_text(encoding="utf-8"))


def test_there_are_shipped_parts() -> None:
    assert len(CONFIGS) >= 3
