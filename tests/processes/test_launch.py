"""Launches that replbench cannot follow, told before any process waits for another."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from replication_bench import machine
from replication_bench.config import TrainConfig
from replication_bench.errors import ConfigError
from replication_bench.processes import ALONE, Processes, launch, meeting, speaks
from replication_bench.processes.group import OwnError
from replication_bench.processes.meeting import told


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*launch.RANKS, *launch.COUNTS, *launch.LOCAL_COUNTS):
        monkeypatch.delenv(name, raising=False)


SEVERAL = {"RANK": "0", "WORLD_SIZE": "2"}


def test_nothing_launched_is_one_process() -> None:
    assert launch.launched() == launch.Launch(0, 1, 1)


@pytest.mark.parametrize(("rank", "count"), [("RANK", "WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE")])
def test_launchers_say_which_process_this_is(rank: str, count: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(rank, "1")
    monkeypatch.setenv(count, "3")
    assert launch.launched() == launch.Launch(1, 3, 3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launch.launched().local == 2


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "does not train with DeepSpeed"),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "does not train with Megatron-LM"),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "does not train with a parallelism configuration"),
        (
            {"ACCELERATE_USE_FSDP": "true"},
            "in --use_fsdp; got one process; want --num_processes of 2 or more",
        ),
        ({"ACCELERATE_USE_FSDP": "true", **SEVERAL}, "in --fsdp_version; got 1; want 2"),
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "in --dynamo_backend; got inductor"),
        ({"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}, "in --gradient_accumulation_steps; got 4"),
        ({"RANK": "0", "WORLD_SIZE": "3"}, "got 3 processes and 2 GPUs"),
    ],
)
def test_a_launch_that_cannot_be_followed(
    variables: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=words):
        launch.check_launch("cuda", 2)


def test_an_ordinary_launch_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "ACCELERATE_DYNAMO_BACKEND": "NO"}.items():
        monkeypatch.setenv(name, value)
    launch.check_launch("cuda", 2)
    launch.check_launch("cpu", 0)
    launch.check_recipe(TrainConfig(batch_size=2), "no")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ACCELERATE_USE_DEEPSPEED", "true", "does not train with DeepSpeed"),
        ("ACCELERATE_USE_FSDP", "true", "in --use_fsdp; got one process"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "in --gradient_accumulation_steps; got 4"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "in --dynamo_backend; got inductor"),
    ],
)
def test_the_command_refuses_it_in_one_process_too(
    name: str, value: str, words: str, tmp_path: Path, replbench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    # told before anything is looked for, which is not there
    status, out, err = replbench("run", "--dataset", tmp_path / "nothing", "--out", tmp_path / "runs")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_shards_on_cpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launch.check_sharding("DistributedType.MULTI_CPU")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="shards weights on GPUs only"):
        launch.check_sharding("DistributedType.MULTI_CPU")
    launch.check_sharding("DistributedType.MULTI_GPU")


@pytest.mark.parametrize("train", [{"optimiser": "adamw-8bit"}, {"channels_last": True}])
def test_what_cannot_be_cut_into_shards_is_refused(
    train: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(**train)
    launch.check_recipe(config, "no")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match=f"in train.{next(iter(train))}"):
        launch.check_recipe(config, "no")
    launch.check_recipe(TrainConfig(), "no")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("bf16", "Give --set train.precision=bf16, or launch with --mixed_precision no."),
        (
            "fp8",
            "fp16, from train.precision. Launch with --mixed_precision no.",
        ),  # which no recipe can follow
    ],
)
def test_a_launch_of_another_precision_is_told_what_can_be_done(
    asked: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    with pytest.raises(ConfigError) as caught:
        launch.check_recipe(TrainConfig(), "fp16")
    assert str(caught.value).endswith(hint)


def test_the_launcher_may_ask_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert machine.choose_device() == "cuda"
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    assert machine.choose_device() == "cpu"


def test_only_the_main_process_speaks_but_for_its_own_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.processes.group.LINGER", 0.0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert speaks(ConfigError("wrong"))
    monkeypatch.setenv("RANK", "1")
    assert not speaks(ConfigError("wrong"))
    assert speaks(OwnError("wrong"))


def say(*said: tuple[str, ConfigError | None]) -> list[list[tuple[str, str]]]:
    """What each process hears through a store in which all say something."""
    from torch.distributed import HashStore

    store = HashStore()

    def one(rank: int) -> list[tuple[str, str]]:
        return told(store, rank, len(said), *said[rank])

    with ThreadPoolExecutor(len(said)) as pool:
        return list(pool.map(one, range(len(said))))


def test_all_processes_hear_of_all_devices_and_of_a_mistake() -> None:
    heard = say(("cpu", None), ("cuda", ConfigError("wrong", got="this")), ("cuda", None))
    assert heard == [[("cpu", ""), ("cuda", "wrong; got this"), ("cuda", "")]] * 3


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([("cpu", ""), ("cuda", ""), ("cuda", "")], "unlike devices; got 1 on cpu, 2 on cuda; want one kind"),
        ([("cuda", ""), ("cpu", "more processes than GPUs")], "^more processes than GPUs$"),
    ],
)
def test_processes_that_cannot_join_are_told_before_they_wait(
    found: list[tuple[str, str]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in zip(meeting.NEEDED, ("0", "2", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.distributed.rendezvous", lambda *words, **more: iter([(None, 0, 2)]))
    monkeypatch.setattr(meeting, "told", lambda *words: found)
    with pytest.raises(ConfigError, match=words):
        meeting.meet("cpu")


def test_a_process_that_nobody_joins_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    for name, value in zip(meeting.NEEDED, ("0", "2", "127.0.0.1", port), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(meeting, "PATIENCE", timedelta(seconds=1))
    with pytest.raises(ConfigError, match=f"do not find each other; in 127.0.0.1:{port}; .*want 2 processes"):
        meeting.meet("cpu")


def test_without_a_store_a_process_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    assert meeting.meet("cpu") is None
    with pytest.raises(ConfigError, match="wrong"):
        meeting.meet("cpu", ConfigError("wrong"))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [range(0), range(1), range(3, 8)])
def test_parts_are_all_the_rows_in_order(rows: range, count: int) -> None:
    parts = [Processes(count, rank).part(rows) for rank in range(count)]
    assert [row for part in parts for row in part] == list(rows)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_process_shares_with_nobody() -> None:
    seen: list[int] = []
    assert ALONE.share("abc", str.upper, seen.append) == ["A", "B", "C"]
    assert seen == [1, 2, 3]
    with pytest.raises(ConfigError, match="wrong"), ALONE.together():
        raise ConfigError("wrong")
