from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from replication_bench import matching
from replication_bench.matching import Embedded, find_evidence


def test_a_run_tells_its_metrics_which_weights_and_protocol_they_look_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Labels rest on 0.75 without held-out images, and whether that has a basis depends on both."""
    monkeypatch.setattr(matching, "build_evidence", lambda *rows, **given: given)
    monkeypatch.setattr(matching, "measured_further", lambda *given: {})
    protocol = SimpleNamespace(name="sscd-official-288", hash="1" * 64)
    example = SimpleNamespace(captions=("one",), repeats=1)
    bench = SimpleNamespace(
        splits=SimpleNamespace(train=[example], heldout=[]),
        embedder=SimpleNamespace(protocol=protocol, trained="disc_mixup"),
        images=lambda examples: None,
        further=None,
    )
    measure = SimpleNamespace(embedder="sscd-torchscript")
    run = SimpleNamespace(
        bench=bench, watch=SimpleNamespace(step=None), config=SimpleNamespace(measure=measure)
    )
    row = np.ones((1, 1), np.float32)
    vectors = Embedded(row, row[:0], row, row, lambda *given: row)
    given, _ = find_evidence(run, [SimpleNamespace(caption="one")], vectors)  # type: ignore[arg-type, list-item]
    assert (given["embedder"], given["protocol"], given["protocol_name"], given["trained"]) == (  # type: ignore[index]
        "sscd-torchscript", "1" * 64, "sscd-official-288", "disc_mixup"
    )  # fmt: skip
