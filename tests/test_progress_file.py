from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replication_bench.progress import Recorder, read_points


class Silent:
    def __init__(self) -> None:
        self.told: list[object] = []

    def step(self, name: str, total: int) -> Callable[[int], None]:
        self.told.append((name, total))
        return self.told.append

    def loss(self, value: float) -> None:
        self.told.append(value)


def test_what_a_watcher_is_told_is_passed_on_and_written(tmp_path: Path) -> None:
    inner = Silent()
    recorder = Recorder(tmp_path / "progress.jsonl", inner, every=0)
    advance = recorder.step("none: train all", 64)
    recorder.loss(0.5)
    advance(32)
    advance(64)
    assert inner.told == [("none: train all", 64), 0.5, 32, 64]
    points = read_points(tmp_path / "progress.jsonl")
    assert [(p.step, p.done, p.total, p.loss) for p in points] == [
        ("none: train all", 0, 64, None),
        ("none: train all", 32, 64, 0.5),
        ("none: train all", 64, 64, 0.5),
    ]


def test_lines_are_few_but_the_last_is_always_there(tmp_path: Path) -> None:
    advance = Recorder(tmp_path / "p", Silent(), every=3600).step("sample", 100)
    for done in range(1, 101):
        advance(done)
    assert [point.done for point in read_points(tmp_path / "p")] == [0, 100]


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    Recorder(tmp_path / "p", Silent()).step("a", 1)
    with (tmp_path / "p").open("a", encoding="utf-8") as file:
        file.write('{"at": 1, "st')
    assert [point.step for point in read_points(tmp_path / "p")] == ["a"]
    assert read_points(tmp_path / "nothing") == []


def test_a_run_does_not_fail_because_nobody_can_watch_it(tmp_path: Path) -> None:
    Recorder(tmp_path / "no folder" / "p", Silent()).step("a", 1)(1)
