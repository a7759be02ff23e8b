"""``replbench new-method``: what it writes installs, keeps the contract and runs as written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distributions import install, replbench

from replication_bench import cli
from replication_bench.commands.new_method import write


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["new-method", *arguments])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out, err.count("\n")) == (2, "", 1)
    return err


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "soft-hush"
    write("soft-hush", folder)
    return folder


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(package, tmp_path_factory.mktemp("site") / "site")


def test_the_package_has_a_project_a_module_a_test_and_a_readme(package: Path) -> None:
    files = sorted(str(path.relative_to(package)) for path in package.rglob("*") if path.is_file())
    assert files == [
        "README.md",
        "pyproject.toml",
        "replbench_soft_hush.py",
        "tests/test_replbench_soft_hush.py",
    ]
    assert "class SoftHushMethod(Method)" in (package / "replbench_soft_hush.py").read_text(encoding="utf-8")
    assert not any("{{" in (package / name).read_text(encoding="utf-8") for name in files)


def test_what_is_written_is_in_good_style(package: Path) -> None:
    ruff = (sys.executable, "-m", "ruff")
    rules = ("--select", "B,E,F,I,N,PT,RET,SIM,UP,W")
    for command in (("check", *rules), ("format", "--check")):
        done = subprocess.run(
            [*ruff, *command, "--isolated", "--no-cache", "."],
            cwd=package,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_installed_it_is_listed_with_its_package(site: Path, tmp_path: Path) -> None:
    done = replbench("methods", "--json", site=site, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = (row for row in json.loads(done.stdout) if row["name"] == "soft-hush")
    assert row["package"] == "replbench-soft-hush 0.1.0"
    assert (row["kind"], row["hooks"], row["parameters"]) == ("train", ["caption"], {"rate": 0.3})


def test_installed_its_own_tests_pass(site: Path, package: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize(
    "name", ["Hush", "hush+loud", "2hush", "hush_hush", "-hush", "hush-", "a/b", "", "hüsh"]
)
def test_what_cannot_be_a_name_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no name for a method" in refused(capsys, "--", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["loyal", "none", "caption-randomization"])
def test_a_name_that_a_method_has_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is taken; got replbench" in refused(capsys, name, "--to", str(tmp_path / "new"))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "hush").mkdir()
    assert "is there already" in refused(capsys, "hush", "--to", str(tmp_path / "hush"))
    assert not list((tmp_path / "hush").iterdir())


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "cannot write" in refused(capsys, "hush", "--to", str(tmp_path / "file" / "hush"))


def test_it_goes_into_a_folder_of_its_name_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.main(["new-method", "hush"])
    assert "replbench check hush" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["hush"]
