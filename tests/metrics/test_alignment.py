from __future__ import annotations

import numpy as np
import pytest
from made import line, measured

from replication_bench.metrics.alignment import METRICS
from replication_bench.metrics.metric import Alignment

SCORES = np.linspace(0.2, 0.3, 101, dtype=np.float32)


def test_the_score_of_a_clip_names_model_and_truncations() -> None:
    model = Alignment(SCORES, "ViT-B-16 openai", clip=True, truncated=3)
    found = measured(METRICS, line(alignment=model))
    assert found["clip_score"].value == pytest.approx(0.25)
    assert found["clip_score"].note == "ViT-B-16 openai; 3 prompts truncated"
    assert found["clip_score"].unit == "cosine"
    assert found["clip_score"].low < 0.25 < found["clip_score"].high
    assert found["clip_score_train"].reason == "no images"


def test_another_model_s_score_is_not_called_clip_score() -> None:
    found = measured(METRICS, line(alignment=Alignment(SCORES, "pocket", train=SCORES[:50])), 0)
    assert "is no CLIP" in str(found["clip_score"].reason)
    assert found["alignment_mean"].value == pytest.approx(0.25)
    assert found["alignment_train"].n == 50


def test_likeness_in_clip_s_space_needs_clip() -> None:
    found = measured(METRICS, line(), 0)
    assert found["clip_sim_mean"].reason == "no embedder 'open-clip' was used"
    space = line(top1=SCORES, protocol="abc", protocol_name="ViT-B-16 at 224")
    found = measured(METRICS, line(spaces={"open-clip": space}))
    assert found["clip_sim_mean"].value == pytest.approx(0.25)
    assert (found["clip_sim_mean"].embedder, found["clip_sim_mean"].protocol) == ("open-clip", "abc")
    assert found["clip_sim_mean"].note == "ViT-B-16 at 224"
