"""Golden numbers through the command itself; tolerance 1e-6.

Made with: Frechet distance by dgm-eval (matrix root and eigenvalues) and torchmetrics; precision to coverage by
prdc 0.2 and dgm-eval, k = 5; AuthPct by dgm-eval; the replication statistics by DCR's formulas on L2-normalised rows.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden_case import COPIES, EXPECTED, arrays, write

from replication_bench.cli import main
from replication_bench.evidence import unit_rows
from replication_bench.search import nearest


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    paths = write(tmp_path_factory.mktemp("golden"))
    flags = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stdout.write", written.append)
        main(["score", *flags, "--bootstrap", "20", "--json"])
    return {m["name"]: m for m in json.loads("".join(written))["measurements"]}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_command_gives_the_golden_number(name: str, scored: dict[str, dict]) -> None:
    assert scored[name]["value"] == pytest.approx(EXPECTED[name], abs=1e-6)


def test_the_nearest_training_row_of_a_copy_is_its_source() -> None:
    rows = arrays()
    found = nearest(unit_rows(rows["generated"][:COPIES]), unit_rows(rows["train"]))
    assert found.ids[:, 0].tolist() == list(range(COPIES))
    assert found.similarity.min() == pytest.approx(0.99984847, abs=1e-6)


def test_what_is_no_copy_stays_below() -> None:
    rows = arrays()
    found = nearest(unit_rows(rows["generated"][COPIES:]), unit_rows(rows["train"]))
    assert found.similarity.max() == pytest.approx(0.87231350, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["fd_heldout", "kd_heldout", "kd_train", "c_t", "fld", "fld_gap", "floor_mean"]
)
def test_held_out_rows_bring_their_own_numbers(name: str, scored: dict[str, dict]) -> None:
    assert np.isfinite(scored[name]["value"])


def test_every_measurement_has_a_value_or_a_reason(scored: dict[str, dict]) -> None:
    assert all((m["value"] is None) != (m["reason"] is None) for m in scored.values())
    intervals = [m for m in scored.values() if m["value"] is not None and m["low"] is not None]
    # percentiles of 20 draws can miss a value; the deterministic ones may not
    fixed = [
        m
        for m in intervals
        if m["name"] in ("precision", "recall", "coverage", "authpct", "fd_train", "vendi")
    ]
    assert len(fixed) == 6
    assert all(m["low"] <= m["value"] <= m["high"] for m in fixed)


def test_few_rows_are_marked_with_the_kernel_distance_beside(scored: dict[str, dict]) -> None:
    assert "low_n" in scored["fd_train"]["note"]
    assert f"kd_train = {scored['kd_train']['value']:.4g}" in scored["fd_train"]["note"]
