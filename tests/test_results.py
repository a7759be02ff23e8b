from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from replication_bench.errors import DataError
from replication_bench.results import Measurement, Result, read_result

SCHEMA = Path(__file__).parent.parent / "docs" / "result.schema.json"


def test_the_committed_schema_is_the_code_s() -> None:
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == Result.model_json_schema()


def test_a_missing_value_needs_a_reason_and_zero_is_a_value() -> None:
    assert Measurement(name="x", value=0.0).value == 0.0
    with pytest.raises(ValidationError):
        Measurement(name="x", value=None)
    with pytest.raises(ValidationError):
        Measurement(name="x", value=1.0, reason="no images")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "does not follow"),
        ('{"schema_version": 99}', "newer"),
    ],
)
def test_broken_results_are_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_result(path)
