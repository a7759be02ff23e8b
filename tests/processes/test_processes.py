"""Two processes on CPUs, launched by Accelerate, against one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import process_case
import psutil  # type: ignore[import-untyped]
import pytest
import torch
from PIL import Image
from torch import Tensor

from replication_bench.method import Method
from replication_bench.processes import ALONE
from replication_bench.trained.record import NAME, read_training

pytest.importorskip("faiss")
LAUNCH = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"),
    *(
        "--num_processes",
        "2",
        "--main_process_port",
        "0",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ),
)
TRAINED = ("plain", "averaged", "coupled", "halves")


@dataclass
class Seen:
    """What two processes did, each in its own words, and what one did alone; the runs lie in ``folder``."""

    folder: Path
    together: list[dict[str, Any]]
    alone: dict[str, Any]


def launch(folder: Path) -> subprocess.Popen[str]:
    """Start ``process_case`` in two processes."""
    script = Path(process_case.__file__)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [*LAUNCH, str(script), str(folder)],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@contextmanager
def ended(launched: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A launcher that is gone at the end of the block with all that it started, however the block ends.

    Workers have sessions of their own, so that neither a kill of the launcher nor one of its group reaches them.
    """
    with launched:
        try:
            yield launched
        finally:
            workers = []
            with contextlib.suppress(psutil.NoSuchProcess):
                workers = psutil.Process(launched.pid).children(recursive=True)
            for process in (launched, *workers):  # in this order, so that no other is started
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def work_alone(folder: Path) -> dict[str, Any]:
    """The same in this process."""
    return {
        "trained": process_case.trainings(folder, ALONE, "alone"),
        "sampled": process_case.sample(folder, ALONE),
        "latents": process_case.all_latents(folder, ALONE, "alone"),
        "command": process_case.command(*process_case.arguments(folder, "alone-runs")),
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    from accelerate.state import AcceleratorState

    from replication_bench.testing import planted_folder, tiny_backbone

    folder = tmp_path_factory.mktemp("processes")
    tiny_backbone(folder / "tiny", levels=2, channels=16)
    planted_folder(folder / "images", 10, duplicates=2)
    AcceleratorState._reset_state(reset_partial_state=True)  # another test may have left another precision
    with ended(launch(folder)) as launched, pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPLBENCH_CACHE", str(folder / "cache-alone"))
        for name in ("embedders.cache.CHUNK", "encoding.CHUNK", "kept.ROWS"):
            patch.setattr(f"replication_bench.{name}", process_case.CHUNK)
        alone = work_alone(folder)
        output, _ = launched.communicate(timeout=300)
        paths = [folder / f"process-{rank}.pt" for rank in (0, 1)]
        assert all(path.exists() for path in paths), output[-5000:]
        yield Seen(folder, [torch.load(path, weights_only=False) for path in paths], alone)
    AcceleratorState._reset_state(reset_partial_state=True)


def test_what_was_launched_ends_where_the_work_beside_it_fails() -> None:
    sleep = f"[{sys.executable!r}, '-c', 'import time; time.sleep(60)']"
    script = f"import subprocess; print(subprocess.Popen({sleep}, start_new_session=True).pid, flush=True); input()"
    started = subprocess.Popen(
        [sys.executable, "-c", script], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with pytest.raises(ZeroDivisionError), ended(started):  # noqa: PT012 - the block is what is tested
        assert started.stdout is not None
        worker = psutil.Process(int(started.stdout.readline()))
        raise ZeroDivisionError
    assert started.poll() is not None
    with contextlib.suppress(psutil.NoSuchProcess):
        deadline = time.monotonic() + 10
        while worker.status() != psutil.STATUS_ZOMBIE:  # gone, but for whoever adopts it
            assert time.monotonic() < deadline
            time.sleep(0.05)


def furthest(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    """The largest difference of two states of the same names."""
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_what_a_step_draws_is_bit_equal_and_cut_by_rows(seen: Seen) -> None:
    steps = [work["trained"]["plain"]["drawn"] for work in (seen.alone, *seen.together)]
    assert [len(step[3]) for step in steps[0]] == [5, 5, 5, 5, 1]
    for alone, first, second in zip(*steps, strict=True):
        for whole, head, tail in zip(alone, first, second, strict=True):
            # of a single row the second process has it, and the first one joins in with the same
            joined = torch.cat([head, tail]) if len(whole) > 1 else tail
            assert torch.equal(whole, joined)


@pytest.mark.parametrize("name", ["memory", "shared disk", "own disk"])
def test_kept_latents_are_bit_equal_and_shared_where_they_can_be(seen: Seen, name: str) -> None:
    alone, *together = (work["latents"][name] for work in (seen.alone, *seen.together))
    assert len(alone["rows"]) == 2
    assert alone["encoded"] == 12  # six images and their mirror images
    for work in together:
        assert all(map(torch.equal, alone["rows"], work["rows"]))
        assert torch.equal(alone["texts"], work["texts"])
    encoded = [work["encoded"] for work in together]
    assert encoded == ([12, 12] if name == "own disk" else [8, 4])


@pytest.mark.parametrize("name", TRAINED)
def test_five_steps_train_the_same_weights(seen: Seen, name: str) -> None:
    alone = seen.alone["trained"][name]
    for work in seen.together:
        assert furthest(alone["weights"], work["trained"][name]["weights"]) < 1e-4
        assert np.allclose(alone["losses"], work["trained"][name]["losses"], atol=1e-4, rtol=0)
    first, second = (work["trained"][name]["weights"] for work in seen.together)
    assert furthest(first, second) == 0


@pytest.mark.parametrize("name", TRAINED)
def test_training_moves_weights_further_than_the_tolerance(seen: Seen, name: str) -> None:
    start = process_case.backbone(seen.folder).unet.state_dict()
    assert furthest(start, seen.alone["trained"][name]["weights"]) > 1e-3


def test_the_coupled_losses_are_of_some_rows_alone(seen: Seen) -> None:
    plain, coupled = (seen.alone["trained"][name]["losses"] for name in ("plain", "coupled"))
    assert coupled != plain
    assert any(coupled)


def test_shards_of_weights_and_optimiser_train_the_same_weights(seen: Seen) -> None:
    for work in seen.together:
        assert furthest(seen.alone["trained"]["averaged"]["weights"], work["sharded"]["weights"]) < 1e-4


def test_one_process_goes_on_from_a_checkpoint_of_two(seen: Seen) -> None:
    folder = seen.folder / "together" / "stopped"
    assert (folder / "checkpoint.pt").exists()
    resumed = process_case.train(Method(), process_case.context(seen.folder), folder, ALONE)
    assert len(resumed["losses"]) < process_case.STEPS
    assert furthest(seen.alone["trained"]["plain"]["weights"], resumed["weights"]) < 1e-4


def test_samples_from_equal_weights_are_the_same_before_rounding(seen: Seen) -> None:
    for work in seen.together:
        assert furthest(seen.alone["sampled"], work["sampled"]) < 1e-5


def runs(seen: Seen, name: str) -> dict[str, Path]:
    """The folders of the runs under ``name`` by id."""
    return {path.parent.name: path.parent for path in (seen.folder / name).glob("*/result.json")}


def assert_equal_runs(a: Path, b: Path) -> dict[str, Any]:
    """The same images and matches, and measurements; returns the second result."""
    names = sorted(path.name for path in (a / "samples").glob("*.png"))
    assert len(names) == process_case.SAMPLES
    for name in names:
        with Image.open(a / "samples" / name) as one, Image.open(b / "samples" / name) as other:
            assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
    for line, other_line in zip(matches(a), matches(b), strict=True):
        assert line[:3] == other_line[:3]
        assert float(line[3]) == pytest.approx(float(other_line[3]), abs=1e-4)
    one, two = (json.loads((path / "result.json").read_text()) for path in (a, b))
    assert one["fingerprint"] == two["fingerprint"]
    assert one["cost"]["network_calls_per_image"] == two["cost"]["network_calls_per_image"]
    result: dict[str, Any] = two
    return result


def matches(run: Path) -> list[list[str]]:
    """The rows of ``matches.csv``."""
    return [line.split(",") for line in (run / "matches.csv").read_text().splitlines()[1:]]


def test_the_command_gives_the_same_images_and_matches(seen: Seen) -> None:
    status, out, err = seen.together[0]["command"]
    assert status == 0, err
    assert seen.together[1]["command"] == (0, "", "")
    assert [result["processes"] for result in json.loads(out)] == [2]
    alone, together = runs(seen, "alone-runs"), runs(seen, "together-runs")
    assert alone.keys() == together.keys()
    for name, folder in alone.items():
        result = assert_equal_runs(folder, together[name])
        assert (result["processes"], result["cost"]["training_processes"]) == (2, 2)
        assert read_training(together[name] / "train" / NAME).processes == 2  # type: ignore[union-attr]


def test_every_embedder_s_work_is_shared(seen: Seen) -> None:
    first, second = (work["embedded"] for work in seen.together)
    assert set(first) == {"pixels", "efficientnet-lite0", "pocket-clip"}
    for name, count in first.items():
        assert 0 < second[name] <= count <= second[name] + 6 * process_case.CHUNK
    dataset = json.loads(seen.together[0]["command"][1])[0]["dataset"]
    texts = dataset["train"] + process_case.SAMPLES
    for name, images in (("efficientnet-lite0", texts + dataset["heldout"]), ("pocket-clip", texts)):
        assert first[name] + second[name] == images  # none of them twice
    # in spaces where nobody looked for copies, the same numbers
    alone, together = (
        json.loads(work["command"][1])[0]["measurements"] for work in (seen.alone, seen.together[0])
    )
    further = [m["name"] for m in alone if m["embedder"] != "pixels" and m["value"] is not None]
    assert len(further) > 5
    values = [{m["name"]: m["value"] for m in found} for found in (alone, together)]
    for name in further:
        assert values[0][name] == pytest.approx(values[1][name], rel=1e-2, abs=1e-3), name


def test_a_killed_run_of_two_processes_is_finished_by_one(seen: Seen) -> None:
    (folder,) = (seen.folder / "killed-runs").iterdir()
    assert list(folder.rglob("checkpoint.pt"))
    assert not list(folder.rglob("final.safetensors"))
    status, _, err = process_case.command(*process_case.arguments(seen.folder, "killed-runs"))
    assert status == 0, err
    alone, resumed = runs(seen, "alone-runs"), runs(seen, "killed-runs")
    for name, run in alone.items():
        result = assert_equal_runs(run, resumed[name])
        assert (result["processes"], result["cost"]["training_processes"]) == (1, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dp", "dp trains in one process; got 2 processes"),
        ("word", "unknown method 'nosuch'"),
        ("precision", "in --mixed_precision; got bf16; want no, from train.precision"),
        ("batch", "in --num_processes; got 2; want at most train.batch_size = 1"),
        ("other", "'doctor' runs in one process; got 2 processes"),
    ],
)
def test_a_user_s_mistake_is_one_line_of_the_main_process(seen: Seen, name: str, words: str) -> None:
    first, second = (work["refused"][name] for work in seen.together)
    assert first[:2] == (2, "")
    assert words in first[2]
    assert first[2].count("\n") == 1
    assert second == (2, "", "")


def test_the_main_process_alone_prepares_and_its_mistake_is_everyone_s(seen: Seen) -> None:
    assert [work["prepared"] for work in seen.together] == [
        ([0], (2, "", "replbench: mistake in 0\n")),
        ([], (2, "", "")),
    ]


def test_a_mistake_in_one_process_ends_all(seen: Seen) -> None:
    first, second = (work["errors"] for work in seen.together)
    for name in ("alone_at_the_end", "beside_a_message"):
        assert first[name] == second[name] == "SharedError: mistake in 1"
    assert [work["in_step_of_all"] for work in (first, second)] == [
        f"SharedError: mistake in {rank}" for rank in (0, 1)
    ]
    assert first["in_step_of_one"] == "none"
    assert second["in_step_of_one"] == "OwnError: process 1 of 2: mistake in 1"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", "different data, weights or settings; got id and other;"),
        ("device", "unlike devices; got cpu and cuda;"),
        ("precision", "unlike mixed precisions; got no and bf16;"),
        ("two folders", "does not see what the main one wrote"),
    ],
)
def test_processes_that_disagree_all_end(seen: Seen, name: str, words: str) -> None:
    for work in seen.together:
        assert words in work["disagreements"][name]


def test_processes_that_agree_go_on_and_leave_nothing(seen: Seen) -> None:
    for work in seen.together:
        found = work["disagreements"]
        assert (found["nothing"], found["one folder"]) == ("none", "none")
        assert (found["left in one folder"], found["left in two folders"]) == ("", "")
