"""Who may import whom: the harness knows none of the rooms behind its doors, nor they each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HARNESS = "replication_bench"
ROOMS = ("baselines", "loyal", "reports")
PACKAGES = (HARNESS, *ROOMS)


def imported(source: str) -> Iterator[str]:
    """The top-level packages that a module imports, anywhere in it; relative imports stay at home."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def forbidden(package: str) -> set[str]:
    return set(ROOMS) - {package}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_against_the_arrows(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imported(path.read_text(encoding="utf-8"))
        if name in forbidden(package)
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_is_there(package: str) -> None:
    assert list((ROOT / package).rglob("*.py"))


def test_the_walk_sees_every_way_to_import() -> None:
    source = (
        "import loyal.method as m\ndef f():\n    from reports import table\n    from . import baselines\n"
    )
    assert set(imported(source)) == {"loyal", "reports"}
    assert forbidden(HARNESS) == set(ROOMS)
    assert forbidden("loyal") == {"baselines", "reports"}
