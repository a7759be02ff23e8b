"""Modules of one package as one file."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from loyal.routed_unet import RoutedUNet
from replication_bench.errors import PluginError
from replication_bench.export.bundle import AVAILABLE, Bundle, bundle

MAIN = '"""The main module."""\n\nfrom pack.parts import half\n\n\ndef main():\n    return half(8)\n'
PARTS = (
    '"""Parts."""\n\nimport math\nfrom functools import (\n    partial,\n)\n\n\n'
    "def half(x):\n    # a comment that stays\n    return math.floor(partial(divmod, x)(2)[0])\n"
)


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "main.py").write_text(MAIN)
    (folder / "parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pack"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def text() -> str:
    found = Bundle("pack")
    found.add("pack.main")
    return found.text("Both.")


@pytest.mark.parametrize(
    "line",
    ["from pack.parts import half", "from .parts import half", "from pack.parts import (\n    half,\n)"],
)
def test_the_file_runs_without_the_package(pack: Path, line: str) -> None:
    (pack / "main.py").write_text(MAIN.replace("from pack.parts import half", line))
    (pack / "main.py").write_text((pack / "main.py").read_text() + "\n\nprint(main())\n")
    made = text()
    assert made.startswith('"""Both."""\n\nfrom functools import partial\nimport math\n')
    assert "# a comment that stays" in made
    done = subprocess.run([sys.executable, "-I", "-c", made], capture_output=True, text=True, check=True)
    assert done.stdout == "4\n"


@pytest.mark.parametrize(
    ("module", "old", "new", "words"),
    [
        ("main.py", "import half", "import half as h", "under its own name"),
        ("main.py", "from pack.parts import half", "import pack.parts", "under its own name"),
        (
            "main.py",
            "    return",
            "    from pack import parts\n    return",
            "imports at the top of the module",
        ),
        ("main.py", "def main", "half = 3\n\n\ndef main", "a name that is not pack.parts's too"),
        ("main.py", "def main", "math = 3\n\n\ndef main", "math of pack.main"),
        ("parts.py", "import math", "import math, requests", "the standard library, torch"),
        ("parts.py", "    return", "    import requests\n    return", "the standard library, torch"),
    ],
)
def test_what_cannot_stand_in_one_file_is_refused(
    pack: Path, module: str, old: str, new: str, words: str
) -> None:
    (pack / module).write_text((pack / module).read_text().replace(old, new, 1))
    with pytest.raises(PluginError, match="the model's code cannot be exported") as caught:
        text()
    assert words in str(caught.value)


def test_the_routed_unet_travels_in_one_file_that_needs_no_package_of_ours() -> None:
    made = bundle(RoutedUNet, "It.")
    tops = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(ast.parse(made))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert tops <= AVAILABLE
    assert made.count("\nclass RoutedUNet") == made.count("\nclass MaxUnpool") == 1
