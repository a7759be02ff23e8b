"""The table of network calls in docs/methods/sampling.md against calls that are counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sampling_case import rows_an_image, sampler
from test_amg import ALWAYS, with_embedder

from baselines.sampling.amg import Amg
from baselines.sampling.initnoise import InitNoise
from baselines.sampling.nemo import Nemo
from baselines.sampling.neurons import NeuronSearch
from baselines.sampling.ren import Ren
from baselines.sampling.sail import Sail
from baselines.sampling.transition import CfgDynamic, CfgStatic
from baselines.sampling.wen import Wen
from replication_bench import plugins
from replication_bench.backbone import Backbone
from replication_bench.method import Method
from replication_bench.resolve import build_method

PAGE = Path(__file__).parents[3] / "docs" / "methods" / "sampling.md"
S = 4
NEVER_REACHED = 1e-9
OTHERS = "every other method"
# for each line of the table, methods with what its symbols then are; the schedule is 751, 501, 251, 1
CASES: dict[str, list[tuple[Method, dict[str, int]]]] = {
    "`none`": [(Method(), {})],
    "`wen`": [(Wen(iterations=n, target=NEVER_REACHED), {"I": n}) for n in (1, 3)]
    + [(Wen(target=1e6, relative=False), {"I": 1})],
    "`ren`": [(Ren(), {})],
    "`cfg-static`": [(CfgStatic(transition=t), {"B": b}) for t, b in ((900, 0), (500, 2), (0, 4))],
    "`cfg-dynamic`": [(CfgDynamic(), {})],
    "`amg`": [
        (Amg(**ALWAYS), {"A": 0}),
        (Amg(similarity="images", **ALWAYS), {"A": 0}),
        (Amg(similarity="embedder", c1=0.1, **ALWAYS), {"A": S}),
        (Amg(similarity="embedder", **ALWAYS), {"A": 0}),  # the first term takes all of the scale
        (Amg(similarity="embedder", low=2, high=2), {"A": 0}),
    ],
    "`nemo`": [(Nemo(seeds=n, threshold=1.0), {"K": n, "E": 0, "C": 0}) for n in (2, 3)]
    + [(Nemo(seeds=1, theta=1, refinement="none", threshold=0.5), {"K": 1, "E": 1, "C": 0})],
    "`sail`": [(Sail(iterations=n, target=NEVER_REACHED), {"I": n}) for n in (1, 2)],
    "`initnoise`": [(InitNoise(iterations=n, target=NEVER_REACHED), {"I": n}) for n in (1, 2)],
    "`initnoise` batch-wise": [(InitNoise(rule="batch-wise", adjustments=n), {"M": n}) for n in (1, 2)],
}


def table() -> dict[str, str]:
    """The formulas of the page by the first cell of their lines."""
    section = PAGE.read_text(encoding="utf-8").split("## Cost")[1].split("\n## ")[0]
    lines = re.findall(r"^\| ([^|]*?) \| ([^|]*?) \|", section, flags=re.MULTILINE)
    return dict(lines[1:])


def lines_of(name: str) -> list[str]:
    """The lines of the page that tell what an installed method costs."""
    return [line for line in CASES if line.partition(" ")[0] == f"`{name}`"] or [OTHERS]


def test_every_line_of_the_table_is_measured() -> None:
    assert list(table()) == [*CASES, OTHERS]
    known = {line for name in plugins.available("methods") for line in lines_of(name)}
    assert known == {*CASES, OTHERS}


@pytest.mark.parametrize(
    ("name", "line"), [(name, line) for name in plugins.available("methods") for line in lines_of(name)]
)
def test_counted_calls_equal_the_documented_ones(backbone: Backbone, name: str, line: str) -> None:
    formula = table()[line]
    assert re.fullmatch(r"[A-Z0-9 ()+*/-]+", formula)
    for method, symbols in CASES.get(line) or [(build_method(name, {})[0], {})]:
        want = eval(formula, {"S": S, "N": 2, **symbols})
        assert rows_an_image(sampler(backbone, method, S, **with_embedder(backbone)), [0, 1]) == want, method


def test_a_scale_before_the_transition_that_needs_both_predictions_costs_both(backbone: Backbone) -> None:
    assert rows_an_image(sampler(backbone, CfgStatic(transition=500, before=-2), S)) == 2 * S


@pytest.mark.parametrize("refinement", ["none", "layers", "neurons"])
def test_nemo_costs_what_it_tries(
    backbone: Backbone, refinement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    real = NeuronSearch.score
    monkeypatch.setattr(NeuronSearch, "score", lambda self, mask: (tried.append(1), real(self, mask))[1])
    method = Nemo(seeds=2, theta=4, theta_min=3, refinement=refinement)
    counted = rows_an_image(sampler(backbone, method, S), [0])
    assert tried
    assert counted == eval(table()["`nemo`"], {"S": S, "K": 2, "E": len(tried), "C": 64, "N": 1})
