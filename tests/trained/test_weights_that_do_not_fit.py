"""Weights and checkpoints that are damaged or of another network: one line that says how to go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from trained_case import Command, Outcome

from replication_bench.training_state import TrainingState

HALFWAY = ("--set", "train.checkpoint_images=4")


@pytest.fixture
def stopped(command: Command, flags: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The checkpoint of a run that was ended there."""
    save = TrainingState.save

    def save_and_end(self: TrainingState, path: Path, images: int) -> None:
        save(self, path, images)
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "save", save_and_end)
        assert command(*flags, *HALFWAY).status == 9
    (path,) = tmp_path.rglob("checkpoint.pt")
    return path


def ended(outcome: Outcome, *words: str) -> None:
    """Assert that a command ended with one line that holds ``words``, below the bars of what it had begun."""
    assert outcome.status == 2, outcome.err
    *bars, last = outcome.err.splitlines()
    assert last.startswith("replbench: ")
    assert all(line.startswith(("encode images ", "none: train all ")) for line in bars)
    for word in words:
        assert word in last


def change(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    state = torch.load(path, weights_only=True)
    edit(state)
    torch.save(state, path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def widened(path: Path) -> None:
    change(path, lambda state: state["network"].update({"conv_in.weight": torch.zeros(64, 4, 3, 3)}))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (cut, ("the checkpoint cannot be read",)),
        (lambda path: path.write_bytes(b""), ("the checkpoint cannot be read",)),
        (lambda path: torch.save([1, 2], path), ("this is no checkpoint", "got list")),
        (lambda path: change(path, lambda state: state.pop("average")), ("this is no checkpoint",)),
        (widened, ("of another architecture", "conv_in.weight [64, 4, 3, 3]; want [8, 4, 3, 3]")),
        (
            lambda path: change(path, lambda state: state.update(average=state["network"])),
            ("of another architecture", "want no such key"),
        ),
        (
            lambda path: change(path, lambda state: state["optimiser"]["param_groups"][0]["params"].pop()),
            ("of another optimiser",),
        ),
        (
            lambda path: change(path, lambda state: state.update(optimiser={"state": {}})),
            ("of another optimiser",),
        ),
    ],
    ids=["cut", "empty", "list", "part", "shape", "average", "parameters", "optimiser"],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(
    broken: Callable[[Path], Any], words: tuple[str, ...], stopped: Path, command: Command, flags: list[str]
) -> None:
    broken(stopped)
    ended(
        command(*flags, *HALFWAY),
        *words,
        str(stopped),
        f"Remove {stopped} and give the command that trained it again",
    )
    assert stopped.exists()


def test_without_the_checkpoint_the_stage_trains_anew(
    stopped: Path, command: Command, flags: list[str], steps: list[str]
) -> None:
    cut(stopped)
    stopped.unlink()
    assert command(*flags, *HALFWAY).status == 0
    assert len(steps) == 2


def dropped(state: dict[str, Any]) -> None:
    del state["conv_in.weight"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda state: state.update({"conv_in.bias": torch.zeros(3)}), "conv_in.bias [3]; want [8]"),
        (dropped, "no conv_in.weight; want conv_in.weight [8, 4, 3, 3]"),
        (lambda state: state.update(more=torch.zeros(1)), "more [1]; want no such key"),
        (None, "the trained weights cannot be read"),
    ],
    ids=["shape", "missing", "more", "cut"],
)
def test_trained_weights_that_do_not_fit_are_one_line(
    edit: Callable[[dict[str, Any]], Any] | None,
    words: str,
    command: Command,
    flags: list[str],
    parent: Path,
    tmp_path: Path,
) -> None:
    run = shutil.copytree(parent, tmp_path / "runs" / parent.name)
    (run / "result.json").unlink()
    final = run / "train" / "all" / "final.safetensors"
    if edit is None:
        cut(final)
    else:
        state = load_file(final)
        edit(state)
        save_file(state, final)
    ended(
        command(*flags),
        words,
        str(final),
        f"Remove {final.parent} and give the command that trained it again",
    )
    if edit is not None:
        ended(command("--from", str(run), out="other", plain=True), words)
