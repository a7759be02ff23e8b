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
from replication_bench.errors import ConfigError
from replication_bench.method import Method
from replication_bench.plugins import load
from replication_bench.testing import Case, check_method, load_backbone, method_checks

METHODS: dict[str, Method] = {
    "wen": Wen(iterations=2),
    "ren": Ren(),
    "cfg-static": CfgStatic(),
    "cfg-dynamic": CfgDynamic(),
    "amg": Amg(),
    "nemo": Nemo(seeds=2, theta_step=2),
    "sail": Sail(iterations=2),
    "initnoise": InitNoise(iterations=2),
}
VARIANTS: dict[str, Method] = {
    "opposite guidance": CfgStatic(transition=650, before=-2),
    "amg on images, active": Amg(similarity="images", low=-10, high=-9),
    "nemo without refinement": Nemo(seeds=1, theta=1, refinement="none", threshold=0.01),
    "initnoise batch-wise": InitNoise(rule="batch-wise"),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_sampling_method_keeps_the_contract(name: str, tiny: Path) -> None:
    check_method(METHODS[name], tiny)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("check", ["check_json_round_trip", "check_hooks_leave_inputs_unchanged"])
def test_options_keep_the_parts_of_the_contract_that_they_touch(name: str, check: str, tiny: Path) -> None:
    checks = {function.__name__: function for function in method_checks()}
    checks[check](Case(VARIANTS[name], load_backbone(tiny)))


@pytest.mark.parametrize("name", METHODS)
def test_a_sampling_method_is_installed_under_its_name(name: str) -> None:
    method = load("methods", name)
    assert method is type(METHODS[name])
    assert method.kind == "sample"
    assert method.summary
    assert "arXiv" in method.paper


OUT_OF_RANGE = [
    (Wen, {"learning_rate": 0}),
    (Wen, {"iterations": 0}),
    (Wen, {"iterations": 2.5}),
    (Wen, {"target": 1.5}),
    (Wen, {"relative": "no"}),
    (Ren, {"scale": -1}),
    (Ren, {"mask": 1}),
    (CfgStatic, {"transition": -1}),
    (CfgStatic, {"before": "none"}),
    (CfgDynamic, {"before": float("nan")}),
    (Amg, {"similarity": "pixels"}),
    (Amg, {"c3": -1}),
    (Amg, {"low": 0.5, "high": 0.1}),
    (Amg, {"neighbours": 0}),
    (Nemo, {"seeds": 0}),
    (Nemo, {"seeds": 1}),
    (Nemo, {"theta": 0.5}),
    (Nemo, {"threshold": 2}),
    (Nemo, {"refinement": "some"}),
    (Nemo, {"tries": 0}),
    (Nemo, {"captions": "/no/such/file.txt"}),
    (Sail, {"alpha": -0.1}),
    (InitNoise, {"rule": "batch"}),
    (InitNoise, {"rho": 0}),
]


@pytest.mark.parametrize(
    ("method", "options"), OUT_OF_RANGE, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_an_option_that_cannot_be_meant_is_one_line(method: type[Method], options: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        method(**options)
    assert "\n" not in str(caught.value)


def test_a_published_absolute_target_may_exceed_one() -> None:
    assert Wen(target=3, relative=False).target == 3
