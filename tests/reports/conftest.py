"""Results and runs that several tests read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_results import CLAIM, make_result
from run_folders import write_runs

from replication_bench.results import Result


@pytest.fixture
def none() -> Result:
    """The reference."""
    return make_result()


@pytest.fixture
def loyal() -> Result:
    """A method with a paper and its claim."""
    return make_result(
        "loyal",
        values={"R": 0.509, "sim_mean": 0.38, "sim_gt_05pc": 0.0, "r_star": 0.082, "kd_heldout": 0.00151},
        paper="arXiv 2412.01118",
        reported=(CLAIM,),
        parameters=17_700_000,
    )


@pytest.fixture
def dual() -> Result:
    """A control without a paper, with a value missing."""
    return make_result("dual", values={"R": 0.472, "r_star": "ceiling - floor < 0.05"}, parameters=17_600_000)


@pytest.fixture
def make() -> Callable[..., Result]:
    """Makes any other result."""
    return make_result


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three methods, two seeds, 24 pictures each; tests that change them copy them."""
    return write_runs(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="session")
def built(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of these runs, training images included."""
    from reports.report import Report

    out = tmp_path_factory.mktemp("report")
    Report().build([runs], out, show_training_images=True)
    return out
