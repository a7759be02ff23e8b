"""A backbone smaller than the suite's, a trainer that can be stopped, and a WordNet of seven nouns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_wordnet import write_wordnet
from torch import Tensor

from baselines.lexicon import generalise, wordnet
from replication_bench.backbone import Backbone
from replication_bench.config import TrainConfig
from replication_bench.data.example import Examples
from replication_bench.method import Context, Method

Train = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from replication_bench.testing import tiny_backbone

    return tiny_backbone(tmp_path_factory.mktemp("small") / "small", levels=2, channels=8)


@pytest.fixture(scope="session")
def loaded(small: Path) -> Backbone:
    return Backbone.load(str(small))


@pytest.fixture
def backbone(loaded: Backbone) -> Backbone:
    return copy.copy(loaded)


@pytest.fixture
def examples() -> Examples:
    from replication_bench.testing.case import example

    return Examples(tuple(example(index) for index in range(6)))


@pytest.fixture
def ctx(backbone: Backbone, examples: Examples) -> Context:
    from replication_bench.testing.case import example

    public = Examples(tuple(example(index) for index in range(6, 9)))
    return Context(backbone, TrainConfig(), training=examples, public=public)


class Stopped(Exception):  # noqa: N818 - a stop, no error
    pass


@pytest.fixture
def train(ctx: Context, tmp_path: Path) -> Train:
    """Train a method through the harness; ``stop`` interrupts after that many images. Returns the final weights."""

    def run(
        method: Method, images: int = 12, folder: str = "run", stop: int | None = None, **train: Any
    ) -> Any:
        from accelerate import Accelerator
        from safetensors.torch import load_file

        from replication_bench.encoding import Encoder
        from replication_bench.training import StageJob, Trainer

        settings = {"batch_size": 4, "checkpoint_images": 4, "warmup_images": 0, "precision": "fp32"}
        ctx.train = TrainConfig(**{**settings, **train})
        ctx.method = method
        assert ctx.training is not None
        trainer = Trainer(
            method,
            ctx.training,
            Encoder(method, ctx.training, ctx.backbone, 0.5),
            ctx,
            ctx.seeds,
            Accelerator(cpu=True, mixed_precision="no"),
        )
        (stage,) = method.stages(ctx.backbone.num_timesteps)
        job = StageJob(stage, images, tmp_path / folder)
        job.folder.mkdir(exist_ok=True)

        def progress(done: int, loss: float) -> None:
            # as a kill during the next step would
            if stop is not None and done > stop:
                raise Stopped

        try:
            trainer.train_stage(job, progress)
        except Stopped:
            assert job.checkpoint.exists()
            return {}
        return load_file(job.final)

    torch.manual_seed(123)
    return run


@pytest.fixture
def tiny_wordnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[wordnet.WordNet]:
    folder = tmp_path / "dict"
    write_wordnet(folder)
    monkeypatch.setenv("REPLBENCH_WORDNET", str(folder))
    generalise.generalise.cache_clear()
    yield wordnet.installed()
    generalise.generalise.cache_clear()
