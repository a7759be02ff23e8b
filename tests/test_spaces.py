"""Further embedders of a run: which are chosen, and what they add to the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from replication_bench import plugins, spaces
from replication_bench.config import MeasureConfig
from replication_bench.embedders import Embedder
from replication_bench.embedders.protocol import ImageProtocol, Vectors
from replication_bench.errors import ConfigError, WeightsError
from replication_bench.evidence import build_evidence, unit_rows
from replication_bench.metrics import all_metrics
from replication_bench.seeds import Seeds
from replication_bench.statistics import measure

ROWS = {
    role: np.random.default_rng(i).normal(size=(9, 6)) + 1 for i, role in enumerate(("generated", "train"))
}
ROWS["heldout"] = np.random.default_rng(9).normal(size=(8, 6)) + 1


class Words:
    """Every text is the first axis."""

    dim, protocol = 6, ImageProtocol("words", "w")

    def __init__(self, name: str = "open-clip", model: str = "") -> None:
        self.name = name

    def __call__(self, images: Sequence[Image.Image]) -> Vectors:
        raise AssertionError("vectors come from the rows")

    def texts(self, texts: Sequence[str]) -> Vectors:
        return np.eye(6, dtype=np.float32)[[0] * len(texts)]

    def count_cut(self, texts: Sequence[str]) -> int:
        return 0


class Features(Words):
    protocol = ImageProtocol("network", "n")

    def features(self, images: Sequence[Image.Image]) -> Vectors:
        raise AssertionError("vectors come from the rows")


def rows(embedder: Embedder, role: str, raw: bool) -> np.ndarray:
    assert raw == hasattr(embedder, "features")
    return ROWS[role] if raw else unit_rows(ROWS[role])


def missing(preset: str = "") -> None:
    raise WeightsError("the weights are missing")


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    made: dict[str, object] = {"open-clip": Words, "pocket-clip": missing, "efficientnet-lite0": missing}
    load = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: made.get(name) or load(kind, name))
    spaces.where_there.cache_clear()
    yield made
    spaces.where_there.cache_clear()


def test_what_nobody_asked_for_may_be_missing_and_what_was_asked_for_may_not(
    doors: dict[str, object],
) -> None:
    found = spaces.choose_further(MeasureConfig())
    assert (found.texts, found.fidelity, found.facts) == (None, {}, {})
    assert found.why == "the weights are missing"
    with pytest.raises(WeightsError):
        spaces.choose_further(MeasureConfig(alignment="pocket-clip", fidelity=()))
    with pytest.raises(WeightsError):
        spaces.choose_further(MeasureConfig(fidelity="efficientnet-lite0"))
    off = spaces.choose_further(MeasureConfig(alignment="none", fidelity="none"))
    assert (off.texts, off.why) == (None, "measure.alignment is 'none'")


def test_an_embedder_without_texts_and_one_named_twice_are_one_line(doors: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="'pixels' has no text tower"):
        spaces.choose_further(MeasureConfig(alignment="pixels"))
    with pytest.raises(ConfigError, match="named twice"):
        spaces.choose_further(MeasureConfig(alignment="none", fidelity=("pixels", "pixels@pixels-32")))


def test_the_fingerprint_names_the_protocols(doors: dict[str, object]) -> None:
    found = spaces.choose_further(MeasureConfig(alignment="open-clip", fidelity="pixels"))
    assert set(found.facts) == {"alignment", "fidelity pixels"}
    assert found.facts["alignment"] == Words.protocol.hash


def further(texts: object, **fidelity: object) -> spaces.Further:
    return spaces.Further(texts, "why", {one.name: one for one in fidelity.values()})


def numbers(found: dict) -> dict:
    base = build_evidence(
        *(unit_rows(ROWS[role][:, :4]) for role in ("generated", "train", "heldout")), **found
    )
    measured = measure(all_metrics(), base, seeds=Seeds(0), resamples=5, confidence=0.9, embedder="sscd")
    return {m.name: m for m in measured}


def test_a_clip_scores_prompts_and_gives_its_space() -> None:
    got = numbers(spaces.measured_further(further(Words()), rows, ["a"] * 9, ["b"] * 9))
    assert got["clip_score"].value == pytest.approx(unit_rows(ROWS["generated"])[:, 0].mean(), abs=1e-6)
    assert got["clip_score_train"].value == pytest.approx(unit_rows(ROWS["train"])[:, 0].mean(), abs=1e-6)
    assert (got["clip_score"].embedder, got["sim_mean"].embedder) == ("open-clip", "sscd")
    assert got["cmmd_train"].value is not None
    assert got["clip_sim_mean"].value is not None


def test_a_model_that_no_metric_asks_for_only_scores_prompts() -> None:
    found = spaces.measured_further(further(Words("pocket-clip")), rows, ["a"] * 9, ["b"] * 9)
    assert found["spaces"] == {}
    got = numbers(found)
    assert got["alignment_mean"].value is not None
    assert got["clip_score"].value is None


def test_distances_are_taken_on_what_a_network_gives() -> None:
    network = Features("inception")
    got = numbers(spaces.measured_further(further(None, one=network), rows, ["a"] * 9, ["b"] * 9))
    from replication_bench.metrics.kernels import KernelDistance

    want = 1000 * KernelDistance(ROWS["generated"], ROWS["train"]).value()
    assert got["kid_train"].value == pytest.approx(want)
    assert got["kd_train:inception"].value == pytest.approx(want)
    assert got["alignment_mean"].reason == "why"
    unit = numbers(spaces.measured_further(further(None, one=Words("inception")), rows, ["a"] * 9, ["b"] * 9))
    assert "only unit vectors were kept" in unit["kid_train"].reason


def test_the_run_s_own_embedder_serves_the_metrics_that_ask_for_it() -> None:
    sets = [unit_rows(ROWS[role]) for role in ("generated", "train", "heldout")]
    features = SimpleNamespace(**ROWS)
    base = build_evidence(*sets, features=features)
    measured = measure(all_metrics(), base, seeds=Seeds(0), resamples=5, confidence=0.9, embedder="inception")
    found = [m for m in measured if m.name == "kid_train"]
    assert len(found) == 1
    assert found[0].value is not None
