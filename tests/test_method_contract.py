"""Every installed method keeps the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from loyal.method import Dual, Loyal
from replication_bench.method import Method
from replication_bench.testing import check_method

METHODS = {
    "none": Method(),
    "dual": Dual(),
    "loyal": Loyal(),
    "loyal single network": Loyal(split=False),
    "loyal front dirac": Loyal(side="front", init="dirac"),
    "loyal all skips": Loyal(skips=("conv_in", "SC1", "SC2", "SC3", "SC4"), init="zero_residual"),
    "loyal frozen": Loyal(trainable=False),
    "loyal no skip": Loyal(block="no_skip", skips=("SC4",)),
    "loyal max_unpool": Loyal(block="max_unpool"),
    "loyal multi_conv": Loyal(block="multi_conv", convs=2),
}


@pytest.mark.parametrize("name", METHODS)
def test_method_keeps_the_contract(name: str, tiny: Path) -> None:
    check_method(METHODS[name], tiny)
