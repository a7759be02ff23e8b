"""A backbone smaller than the suite's, a trainer that can be stopped, and a WordNet of seven nouns."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.lexicon import generalise, wordnet
from replication_bench.backbone import Backbone
from replication_bench.config import TrainConfig
from replication_bench.data.example import Examples
from replication_bench.method import Context, Method

LICENCE = "  1 licence\n"
# offset file lemmas pointers gloss; entity > animal > {bird > {gull, Owl(i)}, bat}, entity > tool > bat
DATA = """\
00000001 03 n 01 entity 0 002 ~ 00000002 n 0000 ~ 00000003 n 0000 | that which is
00000002 05 n 02 animal 0 beast 0 003 @ 00000001 n 0000 ~ 00000004 n 0000 ~ 00000005 n 0000 | a living thing
00000003 06 n 01 tool 0 002 @ 00000001 n 0000 ~ 00000006 n 0000 | a thing to work with
00000004 05 n 01 bird 0 003 @ 00000002 n 0000 ~ 00000007 n 0000 ~i 00000008 n 0000 | it flies; "a bird"
00000005 05 n 01 bat 0 001 @ 00000002 n 0000 | it flies at night
00000006 04 n 01 bat 0 001 @ 00000003 n 0000 | a turn at hitting
00000007 05 n 02 gull 0 sea_gull 0 001 @ 00000004 n 0000 | a bird of the coast
00000008 05 n 01 Archimedes 0 001 @i 00000004 n 0000 | an owl
"""
INDEX = """\
entity n 1 1 ~ 1 1 00000001
animal n 1 1 ~ 1 1 00000002
beast n 1 1 ~ 1 0 00000002
tool n 1 1 ~ 1 1 00000003
bird n 1 1 ~ 1 1 00000004
bat n 2 1 @ 2 1 00000006 00000005
gull n 1 1 @ 1 0 00000007
sea_gull n 1 1 @ 1 0 00000007
archimedes n 1 1 @i 1 0 00000008
"""
COUNTS = """\
animal%1:05:00:: 1 3
beast%1:05:00:: 1 9
bird%1:05:00:: 1 8
bat%1:04:00:: 1 5
bat%1:05:00:: 2 6
gull%2:41:00:: 1 7
"""

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
    folder.mkdir()
    for name, text in {"data.noun": DATA, "index.noun": INDEX, "cntlist.rev": COUNTS}.items():
        (folder / name).write_text(LICENCE + text, encoding="utf-8")
    (folder / "noun.exc").write_text("oxen ox\nbirdies bird\n", encoding="utf-8")
    monkeypatch.setenv("REPLBENCH_WORDNET", str(folder))
    generalise.generalise.cache_clear()
    yield wordnet.installed()
    generalise.generalise.cache_clear()
