"""A method of another distribution, ``tests/plugin``, is listed, checked, run and recorded like any other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from distributions import install, replbench, visible

from replication_bench import cli

PLUGIN = Path(__file__).parent / "plugin"
PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(PLUGIN, tmp_path_factory.mktemp("plugin") / "site")


@pytest.mark.parametrize("name", ["pyproject.toml", "quiet_text.py"])
def test_the_method_of_the_documentation_is_the_one_tested_here(name: str) -> None:
    found = re.search(
        rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    assert found[1] == (PLUGIN / name).read_text(encoding="utf-8")


def test_it_is_listed_with_its_distribution_and_version(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with visible(site, "quiet-text"):
        cli.main(["methods", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["quiet"]["package"] == "quiet-text 0.1.0"
    assert (rows["quiet"]["hooks"], rows["quiet"]["parameters"]) == (["encode"], {"std": 0.1})
    assert rows["loyal"]["package"].startswith("replbench ")


def test_it_keeps_the_contract(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with visible(site, "quiet-text"):
        cli.main(["check", "quiet", "--json"])
    verdicts = {row["check"]: row["failure"] for row in json.loads(capsys.readouterr().out)}
    assert set(verdicts.values()) == {None}
    assert "check_end_to_end" in verdicts


def test_it_runs_alone_and_composed_and_is_recorded_with_its_origin(
    site: Path, slim: Path, pictures: Path, tmp_path: Path
) -> None:
    settings = ("measure.embedder=pixels", "measure.bootstrap=0", "sample.steps=1", "methods.quiet.std=0.2")
    done = replbench(
        *("run", "--method", "quiet", "--method", "dual+quiet", "--dataset", str(pictures), "--json"),
        *("--backbone", str(slim), "--budget", "tiny", "--samples", "2", "--out", str(tmp_path / "runs")),
        *(word for setting in settings for word in ("--set", setting)),
        site=site,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    records = {result["method"]["name"]: result["method"] for result in json.loads(done.stdout)}
    assert set(records) == {"none", "quiet", "dual+quiet"}
    assert records["quiet"] == {
        "name": "quiet",
        "parameters": {"quiet": {"std": 0.2}},
        "distribution": "quiet-text",
        "version": "0.1.0",
        "paper": "where you published it",
        "reported": [],
    }
    assert records["dual+quiet"]["distribution"] == "replbench+quiet-text"
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 3
