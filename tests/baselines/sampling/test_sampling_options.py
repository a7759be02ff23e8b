"""Sampling-time methods refuse options that cannot be meant."""

from __future__ import annotations

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
    (Nemo, {"theta_step": 1e-9}),
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
