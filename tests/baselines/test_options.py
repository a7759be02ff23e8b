"""The methods of this family resume, and refuse what cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from baselines.augment import Augment
from baselines.dedup import Dedup
from baselines.df import DualFusion
from baselines.dp import Dp
from baselines.lora import Lora
from baselines.losscut import LossCut
from replication_bench.compose import compose
from replication_bench.errors import ConfigError
from replication_bench.method import Method


@pytest.mark.parametrize(
    "method",
    [
        Augment(),
        LossCut(),
        DualFusion(),
        Lora(),
        Dp(),
        compose([("lora", Lora()), ("dp", Dp())]),
    ],
    ids=["augment", "losscut", "df", "lora", "dp", "lora+dp"],
)
def test_a_stopped_training_resumes_to_the_same_bits(method: Method, train: Any) -> None:
    whole = train(method, folder="whole")
    assert train(method, folder="cut", stop=4) == {}
    resumed = train(method, folder="cut")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Augment, {"flip": 1.1}),
        (Augment, {"crop": 1.0}),
        (Augment, {"crop": -0.1}),
        (Augment, {"rotate": 181}),
        (Augment, {"colour": "much"}),
        (Augment, {"hue": 0.6}),
        (Dedup, {"threshold": 1.0}),
        (Dedup, {"threshold": -1.1}),
        (Dedup, {"threshold": True}),
        (LossCut, {"threshold": 0}),
        (LossCut, {"threshold": float("nan")}),
        (DualFusion, {"w_lat": 1.5}),
        (DualFusion, {"w_emb": -0.1}),
        (DualFusion, {"fusion": "embedadd"}),
        (Lora, {"rank": 0}),
        (Lora, {"rank": 2.5}),
        (Lora, {"alpha": 0}),
        (Lora, {"targets": ""}),
        (Lora, {"targets": ["to_q", "to_q"]}),
        (Lora, {"targets": 3}),
        (Dp, {"noise_multiplier": -1}),
        (Dp, {"max_grad_norm": 0}),
        (Dp, {"max_grad_norm": float("inf")}),
        (Dp, {"sampling": "poison"}),
        (Dp, {"physical": 0}),
        (Dp, {"delta": 0}),
        (Dp, {"delta": 1}),
        (Dp, {"accountant": "gdp"}),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_names_the_parameter(
    kind: Any, options: dict[str, Any]
) -> None:
    (name,) = options
    with pytest.raises(ConfigError, match=name) as caught:
        kind(**options)
    assert "\n" not in str(caught.value)
