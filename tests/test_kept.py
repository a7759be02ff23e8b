"""What a killed run leaves: its seconds until then, and nothing that no later attempt removes."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file
from test_speed import trained, trainer

from replication_bench.backbone import Backbone
from replication_bench.errors import WeightsError
from replication_bench.method import Method
from replication_bench.pipeline import Run
from replication_bench.store import sweep
from replication_bench.testing import Case, end_to_end, load_backbone
from replication_bench.training import StageJob


@pytest.fixture(scope="module")
def backbone(slim: Path) -> Backbone:
    return load_backbone(slim)


def test_seconds_are_told_with_every_checkpoint_and_batch(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves no chance to tell them; the temporaries that it leaves go when the command is run again."""
    told: list[str] = []
    add = Run.add_seconds
    monkeypatch.setattr(Run, "add_seconds", lambda run, name, s: (told.append(name), add(run, name, s))[1])
    monkeypatch.setattr(
        end_to_end, "TRAIN", end_to_end.TRAIN.model_copy(update={"checkpoint_images": end_to_end.ROWS})
    )
    monkeypatch.setattr(end_to_end, "SAMPLE", end_to_end.SAMPLE.model_copy(update={"batch_size": 1}))
    run, result = end_to_end.run_once(Case(Method(), backbone), tmp_path)
    assert told == ["train"] * 2 + ["sample"] * 3 + ["measure"]
    assert result.cost is not None
    assert result.cost.seconds.keys() >= {"train", "sample"}
    left = run.folder / "train" / "all" / ".checkpoint-ab_12xyz.pt"
    left.write_text("half")
    assert run.execute({}).id == result.id
    assert not left.exists()


def test_only_temporaries_are_swept(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in (".lock", "final.safetensors", ".own", "a-abcd1234.png")]
    left = [tmp_path / "sub" / name for name in (".00001-abcd1234.png", ".checkpoint-ab_d1234.pt")]
    (tmp_path / "sub" / ".final-abcd1234").mkdir(parents=True)
    for path in (*kept, *left, tmp_path / "sub" / ".final-abcd1234" / "final.safetensors"):
        path.write_text("")
    sweep(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    assert not list((tmp_path / "sub").iterdir())


def test_a_checkpoint_goes_once_the_final_weights_are_there(backbone: Backbone, tmp_path: Path) -> None:
    work = trainer(backbone)
    job = StageJob(work.method.stages(1000)[0], 5, tmp_path)
    save_file(backbone.unet.state_dict(), job.final)
    job.checkpoint.write_text("of a run that was killed between the two")
    work.train_stage(job, lambda done, loss: None)
    assert not job.checkpoint.exists()


@pytest.mark.parametrize("checkpoint_images", [5, 100])
def test_a_diverged_training_leaves_no_weights(
    checkpoint_images: int, backbone: Backbone, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=r"training diverged; in .*Lower train\.learning_rate"):
        trained(backbone, tmp_path / "run", learning_rate=1e30, checkpoint_images=checkpoint_images)
    assert not list((tmp_path / "run").glob("final*"))
