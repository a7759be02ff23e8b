from __future__ import annotations

from pathlib import Path

import pytest

from replication_bench.metrics import all_metrics
from replication_bench.metrics.metric import Metric
from replication_bench.metrics.page import WITHOUT, page

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_committed_page_is_what_the_metrics_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(), "run: python -m replication_bench.metrics.page > docs/metrics.md"


@pytest.mark.parametrize("metric", all_metrics(), ids=lambda metric: metric.name)
def test_every_metric_is_explained(metric: Metric) -> None:
    for text in (metric.unit, metric.source, metric.about, metric.formula, metric.span, metric.trap):
        assert text
    assert f"`{metric.name}`" in page()
    assert (metric.interval == "own") == (metric.own_interval is not None)


def test_every_metric_without_an_interval_is_listed_with_its_reason() -> None:
    listed = [name for family in WITHOUT for name in family]
    assert sorted(listed) == sorted(metric.name for metric in all_metrics() if metric.interval is None)
    assert all(f"`{name}`" in page().split("## How much")[0] for name in listed)


def test_names_are_unique() -> None:
    names = [metric.name for metric in all_metrics()]
    assert len(names) == len(set(names))
