from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from replication_bench.config import NamedOptions
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.errors import DataError
from replication_bench.provenance import embedder_record
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
        ("{", "no JSON object.*delete it and run the same command again"),
        ("[]", "no JSON object"),
        ("{}", "does not follow"),
        ('{"schema_version": 99}', "newer"),
        ('{"schema_version": "x"}', "no number"),
    ],
)
def test_broken_results_are_one_line(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_result(path)


def test_an_embedder_is_recorded_under_its_own_name_beside_its_protocol() -> None:
    chosen = NamedOptions(name="sscd", options={"preset": "squash"})
    found = embedder_record(chosen, ImageProtocol("sscd_disc_mixup", "0" * 64))
    assert (found["name"], found["protocol"], found["options"]) == (
        "sscd",
        "sscd_disc_mixup",
        chosen.options,
    )
    assert found["pixels"] == 128


def old_result(**changes: object) -> dict[str, object]:
    """A result whose embedder has its protocol's name, as they were written at first."""
    measured = {"name": "R", "value": 0.5, "embedder": "sscd@squash", "protocol": "p"}
    return {
        "schema_version": 2,
        "kind": "score",
        "id": "old",
        "fingerprint": "f",
        "config": {},
        "dataset": {"name": "d", "fingerprint": "f", "train": 1, "heldout": 0},
        "embedder": {"name": "sscd_disc_mixup", "weights_sha256": "0" * 64},
        "protocol": "p",
        "seed": 0,
        "measurements": [measured, measured | {"embedder": "clip", "protocol": "q"}],
        **changes,
    }


def test_an_embedder_that_was_recorded_under_its_protocols_name_gets_its_own(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    table = old_result()
    asked = [table["embedder"], {"name": "rn50", "protocol": "rn50", "weights_sha256": "1" * 64}]
    path.write_text(json.dumps(table | {"config": {"embedders": asked}}), encoding="utf-8")
    found = read_result(path)
    assert (found.embedder["name"], found.embedder["protocol"]) == ("sscd", "sscd_disc_mixup")
    names = [(record["name"], record["protocol"]) for record in found.config["embedders"]]
    assert names == [("sscd", "sscd_disc_mixup"), ("clip", "rn50")]
    kept = {"name": "sscd", "protocol": "sscd_disc_mixup", "weights_sha256": "0" * 64}
    path.write_text(json.dumps(old_result(embedder=kept)), encoding="utf-8")
    assert read_result(path).embedder == kept
