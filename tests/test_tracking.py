from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from replication_bench import tracking
from replication_bench.errors import ConfigError
from replication_bench.results import Measurement
from replication_bench.tracking import Tracked, check_tracker, flat, grid


class Fake:
    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []
        self.sent: list[Any] = []
        self.config: dict[str, Any] = {}
        self.closed = False

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.config = values

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))

    def log_images(self, values: dict[str, Any], **options: Any) -> None:
        self.sent.append(values["samples"])

    def finish(self) -> None:
        self.closed = True


class Silent:
    def step(self, name: str, total: int) -> Any:
        return lambda done: None

    def loss(self, value: float) -> None:
        pass


class Measured:
    measurements = (
        Measurement(name="R", value=0.0),
        Measurement(name="r_star", value=None, reason="no held-out images"),
    )


def test_an_unknown_tracker_is_answered_with_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"unknown tracker 'tensorbord'.*Did you mean 'tensorboard'\?"):
        check_tracker("tensorbord")
    check_tracker("none")


def test_a_tracker_that_is_not_installed_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import accelerate.tracking

    monkeypatch.setattr(accelerate.tracking, "get_available_trackers", list)
    with pytest.raises(ConfigError, match=r"the tracker .wandb. is not installed.*pip install wandb"):
        check_tracker("wandb")


def test_losses_metrics_and_samples_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake()
    monkeypatch.setattr(tracking, "new_tracker", lambda *arguments: fake)
    (tmp_path / "samples").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "samples" / "00000.png")
    tracked = Tracked("tensorboard", "id", tmp_path, {"train": {"budget": 3, "precision": None}}, Silent())
    advance = tracked.step("none: train all", 64)
    advance(32)
    tracked.loss(0.25)
    tracked.loss(float("nan"))
    tracked.finish(Measured(), tmp_path / "samples")  # type: ignore[arg-type]
    assert fake.config == {"train.budget": 3, "train.precision": "None"}
    assert fake.logged == [({"loss/train/all": 0.25}, 32), ({"metrics/R": 0.0}, 32)]
    assert fake.sent[0].shape == (1, 4, 4, 3)
    assert fake.closed


def test_steps_grow_over_the_stages_and_end_with_the_images_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Fake()
    monkeypatch.setattr(tracking, "new_tracker", lambda *arguments: fake)
    tracked = Tracked("wandb", "id", tmp_path, {}, Silent())
    for stage in ("front", "tail"):
        advance = tracked.step(f"loyal: train {stage}", 64)
        for done in (32, 64):
            advance(done)
            tracked.loss(0.5)
    tracked.step("measure", 89)(89)
    tracked.finish(Measured(), tmp_path)  # type: ignore[arg-type]
    assert [(next(iter(values)), step) for values, step in fake.logged] == [
        ("loss/train/front", 32),
        ("loss/train/front", 64),
        ("loss/train/tail", 96),
        ("loss/train/tail", 128),
        ("metrics/R", 128),
    ]


def test_a_tracker_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import accelerate.tracking

    class Broken:
        def __init__(self, **options: str) -> None:
            raise RuntimeError("no server\nto write to")

    monkeypatch.setitem(accelerate.tracking.LOGGER_TYPE_TO_CLASS, "mlflow", Broken)
    with pytest.raises(ConfigError, match=r"the tracker 'mlflow' does not start.*got no server to write to"):
        tracking.new_tracker("mlflow", "id", tmp_path)


def test_tensorboard_writes_its_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is missing (pip install tensorboard)")
    (tmp_path / "samples").mkdir()
    Image.new("RGB", (4, 4), "red").save(tmp_path / "samples" / "00000.png")
    tracked = Tracked("tensorboard", "a-run", tmp_path / "tb", {"seed": 0}, Silent())
    tracked.step("none: train all", 2)(2)
    tracked.loss(0.5)
    tracked.finish(Measured(), tmp_path / "samples")  # type: ignore[arg-type]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = {path.parent for path in (tmp_path / "tb" / "a-run").rglob("events.out.tfevents.*")}
    reads = [EventAccumulator(str(folder)).Reload() for folder in folders]
    read = next(one for one in reads if one.Tags()["scalars"])
    assert [event.value for event in read.Scalars("loss/train/all")] == [0.5]
    assert any(one.Tags()["images"] for one in reads)


def one_run(name: str, folder: Path, run_id: str) -> None:
    (folder / "samples").mkdir(exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(folder / "samples" / "00000.png")
    tracked = Tracked(name, run_id, folder / name, {"seed": 0, "method": {"name": "none"}}, Silent())
    for stage, loss in (("front", 0.5), ("tail", 0.25)):
        tracked.step(f"loyal: train {stage}", 32)(32)
        tracked.loss(loss)
    tracked.finish(Measured(), folder / "samples")  # type: ignore[arg-type]


def test_wandb_gets_all_runs_in_one_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is missing (pip install wandb)")
    for key, value in (("MODE", "offline"), ("DIR", str(tmp_path)), ("SILENT", "true")):
        monkeypatch.setenv(f"WANDB_{key}", value)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    told = []
    for run_id in ("loyal-0", "loyal-1"):
        tracked = tracking.new_tracker("wandb", run_id, tmp_path)
        told.append((tracked.run.project, tracked.run.name))
        tracked.finish()
    assert told == [("replbench", "loyal-0"), ("replbench", "loyal-1")]
    one_run("wandb", tmp_path, "loyal-2")
    written = b"".join(path.read_bytes() for path in tmp_path.glob("wandb/offline-run-*/*.wandb"))
    for key in (b"loss/train/front", b"loss/train/tail", b"metrics/R", b"method.name"):
        assert key in written
    assert list(tmp_path.glob("wandb/offline-run-*/files/media/images/samples_*.png"))


def test_mlflow_gets_all_runs_in_one_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is missing (pip install mlflow)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    for run_id in ("loyal-0", "loyal-1"):
        one_run("mlflow", tmp_path, run_id)
    client = mlflow.MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    runs = sorted(client.search_runs([experiment.experiment_id]), key=lambda run: run.info.run_name)
    assert experiment.name == "replbench"
    assert [run.info.run_name for run in runs] == ["loyal-0", "loyal-1"]
    assert runs[0].data.metrics == {"loss/train/front": 0.5, "loss/train/tail": 0.25, "metrics/R": 0.0}
    assert runs[0].data.params == {"seed": "0", "method.name": "none"}
    steps = [m.step for m in client.get_metric_history(runs[0].info.run_id, "loss/train/tail")]
    assert steps == [64]
    assert [file.path for file in client.list_artifacts(runs[0].info.run_id)] == ["samples.png"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tensorboard", {"run_name": "loyal-0", "logging_dir": "there"}),
        ("wandb", {"run_name": "mine", "name": "loyal-0"}),
        ("mlflow", {"experiment_name": "replbench", "run_name": "loyal-0"}),
    ],
)
def test_a_run_is_called_by_its_id_within_one_project(
    name: str, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    assert tracking.identity(name, "loyal-0", Path("there")) == told


def test_a_grid_has_rows_of_equal_pictures(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (4, 6 + index)).save(tmp_path / f"{index}.png")
    assert grid(sorted(tmp_path.glob("*.png")), across=2).size == (8, 12)


def test_nested_tables_become_dotted_keys() -> None:
    assert flat({"a": {"b": [1, 2]}, "c": True}) == {"a.b": "[1, 2]", "c": True}
