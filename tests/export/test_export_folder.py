"""What the command writes, what it refuses, and that a folder is written whole or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from replication_bench import cli
from replication_bench.backbone import Backbone
from replication_bench.export import folder as writing
from replication_bench.export.trained import open_trained
from replication_bench.results import read_result

Export = Callable[..., tuple[int, str, str]]
SAFE = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def loyal(runs: dict[str, Path], export: Export, tmp_path: Path) -> Path:
    assert export(runs["loyal"], "--to", tmp_path / "to")[0] == 0
    return tmp_path / "to"


def texts(folder: Path) -> dict[str, str]:
    kinds = (".json", ".md", ".py")
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.suffix in kinds
    }


def test_the_card_holds_every_number_or_its_reason(loyal: Path, runs: dict[str, Path]) -> None:
    card = ModelCard.load(loyal / "README.md")
    assert card.data.to_dict() == {
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": ["replbench", "memorization", "loyal"],
    }
    result = read_result(runs["loyal"] / "result.json")
    measured, missing = card.text.split("## Measured")[1].split("## Not measured")
    for m in result.measurements:
        if m.value is None:
            assert any(m.name in line and str(m.reason) in line for line in missing.splitlines()), m.name
        else:
            assert f"| {m.name} | {m.value:.5g} |" in measured
    assert result.dataset.fingerprint in card.text
    assert "| loyal | tau | 500 |" in card.text
    assert "48.63 % (SD 2.1, LAION, other protocol" in card.text.split("not measured here")[1]
    assert "all that it does is in the weights" in card.text
    assert "`RoutedUNet`, which diffusers does not have" in card.text


def test_nothing_in_the_folder_tells_where_it_was_made(loyal: Path, tiny: Path, tmp_path: Path) -> None:
    for name, text in texts(loyal).items():
        assert '_name_or_path"' not in text, name
        assert str(tmp_path.parent) not in text, name
        assert str(tiny.parent) not in text, name


def test_the_mark_and_the_index_name_the_class(loyal: Path, runs: dict[str, Path]) -> None:
    mark = json.loads((loyal / writing.MARK).read_text())
    assert (mark["unet"], mark["trust_remote_code"], mark["precision"]) == ("RoutedUNet", True, "fp32")
    assert mark["run"] == runs["loyal"].name
    assert json.loads((loyal / "model_index.json").read_text())["unet"] == ["routed_unet", "RoutedUNet"]


def test_sampling_alone_is_told_to_be_missing(runs: dict[str, Path], export: Export, tmp_path: Path) -> None:
    status, _, err = export(runs["wen"], "--to", tmp_path / "to")
    assert status == 0
    assert err == "replbench: not in the folder, since it changes sampling: wen\n"
    card = (tmp_path / "to" / "README.md").read_text(encoding="utf-8")
    assert "`wen` changes sampling (condition)" in card
    assert "--method wen --from" in card
    assert not (tmp_path / "to" / "unet" / "routed_unet.py").exists()


SAVE_RANDOM = """
import sys
from types import SimpleNamespace
from replication_bench.backbone import Backbone
from replication_bench.export.folder import save_parts

backbone = Backbone.load("random:sd21-mini", "cpu", 64)
component = SimpleNamespace(model=backbone.unet)
contents = SimpleNamespace(
    backbone=backbone, component=component, scheduler=backbone.scheduler, precision="fp16"
)
save_parts(sys.argv[1], contents)
"""


def test_no_library_speaks_of_parts_that_no_file_was_read_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAVE_RANDOM, tmp_path / "to"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "to" / "model_index.json").exists()
    assert "float32" not in done.stderr
    assert "shards" not in done.stderr


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_weights_are_stored_in_the_precision_asked_for(
    runs: dict[str, Path], export: Export, tmp_path: Path, precision: str, dtype: torch.dtype
) -> None:
    status, _, err = export(runs["loyal"], "--to", tmp_path / "to", "--precision", precision)
    assert status == 0, err
    for part in ("unet", "vae", "text_encoder"):
        (file,) = (tmp_path / "to" / part).glob("*.safetensors")
        assert {t.dtype for t in load_file(file).values() if t.is_floating_point()} == {dtype}, part
    assert f"dtype=torch.{str(dtype).removeprefix('torch.')}" in (tmp_path / "to" / "README.md").read_text()


def test_an_export_is_a_backbone_whose_code_is_not_run(loyal: Path, runs: dict[str, Path]) -> None:
    (loyal / "unet" / "routed_unet.py").write_text("raise SystemExit('this must not run')\n")
    loaded = Backbone.load(str(loyal))
    ours: Any = open_trained(runs["loyal"]).denoiser
    rng = torch.Generator().manual_seed(0)
    x_t, cond = torch.randn(4, 4, 8, 8, generator=rng), torch.randn(4, 5, 32, generator=rng)
    t = torch.tensor([0, 499, 500, 999])
    with torch.no_grad():
        theirs = loaded.unet(x_t, t, encoder_hidden_states=cond, return_dict=False)[0]
        torch.testing.assert_close(theirs, ours(x_t, t, cond), rtol=1e-5, atol=1e-5)


def test_transfer_blocks_are_not_put_on_an_export_that_has_some(
    loyal: Path, tmp_path: Path, replbench: Export
) -> None:
    status, _, err = replbench(
        *("run", "--dataset", "openmoji", "--backbone", loyal, "--method", "loyal", "--budget", 8),
        *("--set", "measure.embedder=pixels", "--out", tmp_path / "runs"),
    )
    assert status == 2
    assert "transfer blocks are put on one U-Net; got RoutedUNet; want a plain UNet2DConditionModel" in err
    assert not list(tmp_path.glob("runs/*/train"))


def test_an_export_is_sampled_measured_and_exported_again_without_training(
    loyal: Path, runs: dict[str, Path], export: Export, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    images = read_result(runs["loyal"] / "result.json").dataset.options["path"]
    settings = ("sample.steps=2", "measure.bootstrap=0", "measure.embedder=pixels")
    cli.main(
        [
            *("run", "--method", "ren", "--from", str(loyal), "--dataset", images, "--samples", "2"),
            *("--out", str(tmp_path / "runs"), "--json"),
            *(word for setting in settings for word in ("--set", setting)),
        ]
    )
    results = json.loads(capsys.readouterr().out)
    assert {result["method"]["name"] for result in results} == {"none", "ren"}
    for result in results:
        assert {m["name"]: m["value"] for m in result["measurements"]}["sim_mean"] is not None
        assert result["cost"]["parameters"] > 2_000_000  # two U-Nets and the transfer blocks of one
        status, _, err = export(tmp_path / "runs" / result["id"], "--to", tmp_path / "again")
        assert status == 0, err
        assert load_file(tmp_path / "again" / "unet" / SAFE).keys() == load_file(loyal / "unet" / SAFE).keys()
        assert (
            "| images seen | not known: fine-tuned elsewhere"
            in (tmp_path / "again" / "README.md").read_text()
        )


def test_a_backbone_of_an_unknown_class_is_one_line(loyal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from replication_bench import plugins
    from replication_bench.errors import WeightsError

    monkeypatch.setattr(plugins, "available", lambda kind: {})
    with pytest.raises(WeightsError, match="the U-Net's class 'RoutedUNet' is not installed"):
        Backbone.load(str(loyal))


def test_a_damaged_export_is_one_line(loyal: Path) -> None:
    from replication_bench.errors import WeightsError

    state = load_file(loyal / "unet" / SAFE)
    del state["unets.1.conv_in.weight"]
    save_file(state, loyal / "unet" / SAFE, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"not those of a RoutedUNet.*unets\.1\.conv_in\.weight"):
        Backbone.load(str(loyal))


def test_an_earlier_export_is_replaced_as_a_whole(loyal: Path, runs: dict[str, Path], export: Export) -> None:
    (loyal / "left-over").write_text("of the earlier export")
    status, _, err = export(runs["none"], "--to", loyal)
    assert status == 0, err
    assert not (loyal / "left-over").exists()
    assert not (loyal / "unet" / "routed_unet.py").exists()
    assert [path.name for path in loyal.parent.iterdir() if path.name.startswith(".")] == []


def test_a_failure_leaves_the_earlier_export(
    loyal: Path, runs: dict[str, Path], export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = texts(loyal)

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "check_reload", full)
    status, out, err = export(runs["none"], "--to", loyal)
    assert (status, out) == (2, "")
    assert "No space left on device" in err
    assert texts(loyal) == before
    assert [path.name for path in loyal.parent.iterdir() if path.name.startswith(".")] == []


@pytest.fixture
def broken(runs: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(runs["none"], tmp_path / "broken"))


def refused(export: Export, run: Path, to: Path, words: str, *more: str) -> None:
    status, out, err = export(run, "--to", to, *more)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_folder_with_something_else_is_not_touched(
    runs: dict[str, Path], export: Export, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    refused(export, runs["none"], tmp_path / "mine", "something else is there")
    refused(export, runs["none"], tmp_path / "mine" / "thesis.txt", "something else is there")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_taken(runs: dict[str, Path], export: Export, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export(runs["none"], "--to", tmp_path / "empty")[0] == 0


def test_what_is_no_finished_run_is_refused(broken: Path, export: Export, tmp_path: Path) -> None:
    refused(export, tmp_path / "nowhere", tmp_path / "to", "no finished run")
    (broken / "result.json").unlink()
    refused(export, broken, tmp_path / "to", "no finished run")
    refused(
        export,
        broken,
        tmp_path / "to",
        "unknown precision 'fp61'; in --precision. Did you mean",
        "--precision",
        "fp61",
    )


def test_weights_that_are_missing_or_others_are_refused(broken: Path, export: Export, tmp_path: Path) -> None:
    final = broken / "train" / "all" / "final.safetensors"
    state = load_file(final)
    del state["conv_in.weight"]
    save_file(state, final)
    refused(export, broken, tmp_path / "to", "the trained weights are of another architecture")
    final.write_bytes(b"cut")
    refused(export, broken, tmp_path / "to", "the trained weights cannot be read")
    final.unlink()
    refused(export, broken, tmp_path / "to", "the trained weights cannot be read")


def test_another_backbone_of_the_same_name_is_refused(broken: Path, export: Export, tmp_path: Path) -> None:
    result = json.loads((broken / "result.json").read_text())
    result["backbone"]["sha256"] = "0" * 64
    (broken / "result.json").write_text(json.dumps(result))
    refused(export, broken, tmp_path / "to", "the backbone is not the one that the run was trained from")
    assert not (tmp_path / "to").exists()
