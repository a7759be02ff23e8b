from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from torch import Tensor, nn

from replication_bench.acceleration import (
    READ_EVERY,
    LossMeter,
    ahead,
    depth,
    lay_out,
    parts,
    ready_to_train,
    settled,
)
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig, TrainConfig, validate
from replication_bench.data.example import Examples
from replication_bench.encoding import Encoder, StoredTexts
from replication_bench.errors import ConfigError, PluginError
from replication_bench.kept import ROWS, Stored
from replication_bench.method import Context, Method
from replication_bench.networks import Resident, parked, ready_to_sample
from replication_bench.optimisers import check_optimiser, new_optimiser
from replication_bench.resolve import Request, resolve_runs
from replication_bench.testing.case import example
from replication_bench.training import StageJob, Trainer
from replication_bench.training_state import TrainingState


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    from replication_bench.testing import tiny_backbone

    return Backbone.load(str(tiny_backbone(tmp_path_factory.mktemp("b") / "b", levels=2, channels=8)))


class Shifted(Method):
    """Changes images at every draw."""

    def image(self, image: Tensor, rng: torch.Generator) -> Tensor:
        return image.roll(int(torch.randint(8, (), generator=rng)), -1)


def trainer(backbone: Backbone, method: Method | None = None, **train: Any) -> Trainer:
    settings = {"batch_size": 5, "warmup_images": 0, "precision": "fp32", "learning_rate": 1e-3, **train}
    config = TrainConfig(**settings)
    data = Examples(tuple(example(index) for index in range(6)))
    method = method or Method()
    ctx = Context(backbone, config, training=data, method=method)
    encoder = Encoder(method, data, backbone, 0.5, config.cache)
    return Trainer(method, data, encoder, ctx, ctx.seeds, Accelerator(cpu=True, mixed_precision="no"))


def trained(
    backbone: Backbone, folder: Path, method: Method | None = None, images: int = 12, **train: Any
) -> dict[str, Tensor]:
    work = trainer(backbone, method, **train)
    job = StageJob(work.method.stages(1000)[0], images, folder)
    job.folder.mkdir(exist_ok=True)
    work.train_stage(job, lambda done, loss: None)
    return load_file(job.final)


class Sgd(Method):
    """AdamW would hide a wrong scale of the gradients and blow up what is next to nothing."""

    def optimiser(self, module: nn.Module, ctx: Context) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), 0.01)


@pytest.fixture(scope="module")
def plain(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    return trained(backbone, tmp_path_factory.mktemp("plain"), Sgd(), clip_norm=100.0)


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return sum(float((other[name] - value).square().sum()) for name, value in one.items()) ** 0.5


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": 3},
        {"gradient_checkpointing": True},
        {"channels_last": False},
        pytest.param({"compile": "aot_eager"}, marks=pytest.mark.slow),
        pytest.param({"compile": "cudagraphs"}, marks=pytest.mark.slow),
        {"cache": "disk"},
        {"cache": "none"},
    ],
    ids=str,
)
def test_an_option_of_speed_trains_the_same_network(
    options: dict[str, Any], backbone: Backbone, plain: dict[str, Tensor], tmp_path: Path
) -> None:
    found = trained(backbone, tmp_path / "run", Sgd(), clip_norm=100.0, **options)
    assert found.keys() == plain.keys()
    assert distance(found, plain) < 1e-4 * distance(backbone.unet.state_dict(), plain)


def test_the_fused_optimiser_is_used_and_steps_alike() -> None:
    weights = []
    for fused in (False, True):
        weight = nn.Parameter(torch.ones(3, 4))
        optimiser = new_optimiser([weight], TrainConfig(fused=fused))
        assert bool(optimiser.defaults["fused"]) == fused
        weight.grad = torch.arange(12.0).view(3, 4)
        optimiser.step()
        weights.append(weight.detach())
    torch.testing.assert_close(*weights)
    assert new_optimiser([weight], TrainConfig()).defaults["fused"] is True


def test_auto_leaves_a_device_where_it_was_not_measured_alone() -> None:
    elsewhere = torch.device("meta")
    assert (
        new_optimiser([nn.Parameter(torch.ones(3, device=elsewhere))], TrainConfig()).defaults["fused"]
        is None
    )
    network = nn.Conv2d(2, 2, 3)
    for device, laid_out in (("meta", False), ("cpu", True)):
        lay_out(network, "auto", "no", torch.device(device))
        assert network.weight.is_contiguous(memory_format=torch.channels_last) == laid_out


@pytest.mark.parametrize(
    ("backend", "laid_out"), [("no", True), ("inductor", True), ("cudagraphs", False), ("aot_eager", False)]
)
def test_auto_trains_no_layout_that_a_backend_cannot(backend: str, laid_out: bool) -> None:
    train = validate({"backbone": "made", "train": {"compile": backend}}, "made").train
    assert settled(train, "cpu").channels_last is laid_out
    network = nn.Conv2d(2, 2, 3)
    ready_to_train(network, train, torch.device("cpu"))
    assert network.weight.is_contiguous(memory_format=torch.channels_last) == laid_out
    table = {"train": {"compile": backend, "channels_last": True}}
    if laid_out:
        assert validate(table, "made").train.channels_last
    else:
        with pytest.raises(
            ConfigError, match=rf"train.channels_last: cannot .* {backend}; want auto or false"
        ):
            validate(table, "made")


@pytest.mark.parametrize("method", [Method(), Shifted()])
def test_drawing_ahead_changes_no_bit(method: Method, backbone: Backbone, tmp_path: Path) -> None:
    found = [trained(backbone, tmp_path / str(n), method, prefetch=n) for n in (0, 3)]
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_the_disk_gives_the_latents_of_the_memory_bit_for_bit(backbone: Backbone) -> None:
    kept = [trainer(backbone, cache=cache).encoder.cached for cache in ("memory", "disk")]
    assert kept[0] is not None
    assert kept[1] is not None
    for memory, disk in zip(*kept, strict=True):
        assert torch.equal(memory, torch.stack([disk[row] for row in range(len(disk))]))
    assert not torch.equal(kept[0][0], kept[0][1])


def test_what_is_on_disk_is_not_computed_again(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trainer(backbone, cache="disk").encoder
    states = first.texts(["", first.data[0].captions[0]])
    monkeypatch.setattr(backbone.text_encoder, "forward", None)
    again = trainer(backbone, cache="disk").encoder
    assert torch.equal(again.texts(["", again.data[0].captions[0]]), states)


def test_another_device_has_files_of_its_own_and_another_precision_has_none(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders(**train: Any) -> tuple[Path, Path]:
        encoder = trainer(backbone, cache="disk", **train).encoder
        assert isinstance(encoder.texts, StoredTexts)
        return encoder.stored(False).folder, encoder.texts.rows.folder

    on_cpu = folders()
    assert folders(precision="bf16") == on_cpu
    monkeypatch.setattr("replication_bench.machine.device_name", lambda device: "cuda, another GPU")
    assert not set(folders()) & set(on_cpu)


def test_images_and_captions_are_encoded_in_float32_whatever_trains(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved: dict[str, bool] = {}

    class Looking(Method):
        def loss(self, *rest: Any) -> Tensor:
            halved["loss"] = torch.is_autocast_enabled("cpu")
            return super().loss(*rest)

    def watched(name: str) -> None:
        encode = getattr(Backbone, name)

        def call(self: Backbone, what: Any) -> Tensor:
            halved[name] = torch.is_autocast_enabled("cpu")
            found: Tensor = encode(self, what)
            return found

        monkeypatch.setattr(Backbone, name, call)

    watched("encode_images")
    watched("encode_text")
    work = trainer(backbone, Looking(), cache="none")
    AcceleratorState._reset_state()
    work.accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    work.train_stage(StageJob(work.method.stages(1000)[0], 5, tmp_path), lambda done, loss: None)
    assert halved == {"encode_images": False, "encode_text": False, "loss": True}


def test_captions_that_no_example_has_are_computed_in_memory(backbone: Backbone) -> None:
    texts = trainer(backbone, cache="disk").encoder.texts
    torch.testing.assert_close(texts(["something new", ""]), backbone.encode_text(["something new", ""]))


def count_up(rows: range) -> Tensor:
    return torch.arange(rows.start, rows.stop, dtype=torch.float32)[:, None]


def test_a_filling_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    asked: list[range] = []

    def make(rows: range) -> Tensor:
        if len(asked) == 1:
            asked.append(range(0))
            raise KeyboardInterrupt
        asked.append(rows)
        return count_up(rows)

    with pytest.raises(KeyboardInterrupt):
        Stored(tmp_path / "s", 2 * ROWS + 3, (1,)).fill(make, lambda done: None)
    stored, seen = Stored(tmp_path / "s", 2 * ROWS + 3, (1,)), []
    stored.fill(make, seen.append)
    assert asked == [range(ROWS), range(0), range(ROWS, 2 * ROWS), range(2 * ROWS, 2 * ROWS + 3)]
    assert seen == [ROWS, 2 * ROWS, 2 * ROWS + 3]
    assert [float(stored[row]) for row in (0, ROWS, 2 * ROWS + 2)] == [0, ROWS, 2 * ROWS + 2]


def test_a_damaged_file_of_rows_is_computed_again(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "s", 5, (1,))
    stored.fill(count_up, lambda done: None)
    path = stored.path(0)
    path.write_bytes(path.read_bytes()[:-4])
    again = Stored(tmp_path / "s", 5, (1,))
    again.fill(count_up, lambda done: None)
    assert float(again[4]) == 4


def test_a_batch_is_split_into_parts_of_nearly_equal_size() -> None:
    assert parts(10, 1) == (slice(None),)
    assert [(p.start, p.stop) for p in parts(10, 3)] == [(0, 4), (4, 8), (8, 10)]
    assert len(parts(2, 5)) == 2
    assert parts(0, 2) == ()


def test_the_loss_of_an_asynchronous_device_is_read_now_and_then() -> None:
    meter = LossMeter(torch.device("cuda"))
    read = [meter.add(torch.tensor(float(step))) for step in range(2 * READ_EVERY)]
    assert read[READ_EVERY - 2] != read[READ_EVERY - 2]  # nothing was read yet
    assert set(read[READ_EVERY - 1 : -1]) == {(READ_EVERY - 1) / 2}
    assert read[-1] == (READ_EVERY - 1) / 2 + READ_EVERY
    assert [LossMeter(torch.device("cpu")).add(torch.tensor(2.0))] == [2.0]


def test_drawing_ahead_keeps_the_order_and_stays_ahead_by_no_more_than_asked() -> None:
    threads: set[str] = set()
    drawn: list[int] = []

    def draw(key: int) -> int:
        threads.add(threading.current_thread().name)
        drawn.append(key)
        return key * key

    found = ahead(range(5), draw, 2)
    assert next(found) == (0, 0)
    assert len(drawn) <= 3
    assert list(found) == [(key, key * key) for key in range(1, 5)]
    assert {name.split("_")[0] for name in threads} == {"prefetch"}
    assert depth("auto", torch.device("cpu")) == 0
    assert depth("auto", torch.device("cuda")) == 2


def test_a_mistake_made_ahead_is_raised_where_it_is_needed() -> None:
    def draw(key: int) -> int:
        return 1 // (2 - key)

    found = ahead(range(5), draw, 3)
    assert [next(found)[1], next(found)[1]] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_without_bitsandbytes_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.optimisers.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"'bitsandbytes' is missing.*replbench\[8bit\]"):
        check_optimiser(TrainConfig(optimiser="adamw-8bit"))
    check_optimiser(TrainConfig())


def test_an_8_bit_state_is_a_quarter_and_moves_like_the_whole_one() -> None:
    pytest.importorskip("bitsandbytes")
    start = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    moved, sizes = [], []
    for name in ("adamw", "adamw-8bit"):
        weight = nn.Parameter(start.clone())
        optimiser = new_optimiser([weight], TrainConfig(optimiser=name, learning_rate=1e-2))
        for step in range(5):
            weight.grad = torch.randn(start.shape, generator=torch.Generator().manual_seed(step))
            optimiser.step()
        moved.append(weight.detach() - start)
        states = optimiser.state[weight].values()
        sizes.append(
            sum(s.numel() * s.element_size() for s in states if torch.is_tensor(s) and s.numel() >= 4096)
        )
    assert sizes[1] * 4 == sizes[0]
    assert torch.cosine_similarity(*(m.flatten() for m in moved), dim=0) > 0.99


def test_a_network_without_gradient_checkpointing_is_refused(backbone: Backbone) -> None:
    work = trainer(backbone, gradient_checkpointing=True)
    with pytest.raises(ConfigError, match="no gradient checkpointing"):
        TrainingState(nn.Linear(2, 2), work.method, work.ctx, work.accelerator)


class Recorded(nn.Linear):
    def __init__(self, name: str, log: list[str]):
        super().__init__(2, 2)
        self.name, self.log = name, log

    def to(self, where: Any) -> Recorded:  # type: ignore[override]
        self.log.append(f"{self.name} {where}")
        return self


def test_only_the_network_that_is_called_lies_on_the_device() -> None:
    log: list[str] = []
    front, tail = (Recorded(name, log) for name in ("front", "tail"))
    config = SampleConfig(offload=True, channels_last=False)
    for network in (front, tail):
        parked(network, config)
    ready_to_sample([front, tail], config, torch.device("cpu"))
    for network in (tail, tail, front, tail):
        network(torch.zeros(1, 2))
    assert log == ["front cpu", "tail cpu", "tail cpu", "tail cpu", "front cpu", "front cpu", "tail cpu"]
    assert parked(front, SampleConfig()) is front
    assert len(log) == 7


def test_copies_of_a_network_share_the_place_on_the_device() -> None:
    import copy

    resident = Resident(torch.device("cpu"))
    network = nn.Linear(2, 2)
    network.register_forward_pre_hook(resident)
    twin = copy.deepcopy(network)
    twin(torch.zeros(1, 2))
    assert resident.network is twin


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_predicts_nearly_the_same_in_full(precision: str, backbone: Backbone) -> None:
    unet = Method().build(backbone, Method().stages(1000)[0])
    inputs = (
        torch.randn(2, *backbone.latent_shape),
        torch.tensor([1, 900]),
        torch.randn(2, *backbone.states_shape),
    )
    with torch.no_grad():
        full = unet(inputs[0], inputs[1], encoder_hidden_states=inputs[2], return_dict=False)[0]
        (ready,) = ready_to_sample([unet], SampleConfig(precision=precision), torch.device("cpu"))
        half = ready(inputs[0], inputs[1], encoder_hidden_states=inputs[2], return_dict=False)[0]
    assert half.dtype == torch.float32
    assert next(ready.parameters()).dtype != torch.float32
    assert not torch.equal(half, full)
    assert (half - full).norm() < 0.03 * full.norm()


def test_the_fingerprint_holds_the_options_that_can_change_bits() -> None:
    def of(*settings: str) -> str:
        return resolve_runs(Request(settings=settings))[0][0].fingerprint()

    assert len({of(), of("train.prefetch=3"), of("sample.offload=true")}) == 1
    changed = ("train.accumulate=2", "train.cache=disk", "train.compile=inductor", "sample.precision=bf16")
    assert len({of(), *map(of, changed)}) == 5
    with pytest.raises(ConfigError, match=r"train\.prefetch"):
        of("train.prefetch=-1")


def test_a_cpu_does_not_train_in_fp16() -> None:
    with pytest.raises(ConfigError, match=r"a CPU does not train in fp16; in train\.precision; got fp16"):
        settled(TrainConfig(precision="fp16"), "cpu")
    assert settled(TrainConfig(precision="fp16"), "cuda").precision == "fp16"


def test_a_checkpoint_holds_how_far_losses_are_scaled(tmp_path: Path) -> None:
    def state(scale: float) -> TrainingState:
        accelerator = Accelerator(cpu=True, mixed_precision="no")
        accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=scale)  # as on a GPU in fp16
        ctx = Context(None, TrainConfig(), SampleConfig())  # type: ignore[arg-type]
        return TrainingState(nn.Linear(2, 2), Method(), ctx, accelerator)

    state(8.0).save(tmp_path / "checkpoint.pt", 3)
    resumed = state(2.0)
    assert resumed.restore(tmp_path / "checkpoint.pt") == 3
    assert resumed.accelerator.scaler.state_dict()["scale"] == 8.0
