"""Every sampling-time method keeps the contract, alone and with its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from baselines.sampling.amg import Amg
from baselines.sampling.initnoise import InitNoise
from baselines.sampling.nemo import Nemo
from baselines.sampling.ren import Ren
from baselines.sampling.sail import Sail
from baselines.sampling.transition import CfgDynamic, CfgStatic
from baselines.sampling.wen import Wen
from replication_bench.method import Method
from replication_bench.testing import check_method

METHODS: dict[str, Method] = {
    "wen": Wen(iterations=2),
    "ren": Ren(),
    "cfg-static": CfgStatic(),
    "cfg-static with opposite guidance": CfgStatic(transition=650, before=-2),
    "cfg-dynamic": CfgDynamic(),
    "amg": Amg(),
    "amg on images": Amg(similarity="images", low=-10, high=-9),
    "nemo": Nemo(seeds=2, theta_step=2),
    "sail": Sail(iterations=2),
    "initnoise": InitNoise(iterations=2),
    "initnoise batch-wise": InitNoise(rule="batch-wise"),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_sampling_method_keeps_the_contract(name: str, tiny: Path) -> None:
    check_method(METHODS[name], tiny)
