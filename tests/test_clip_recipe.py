"""The recipe of ``pocket-clip`` on made drawings and a random tower: it trains, repeats, packs for open_clip."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("open_clip")
pytest.importorskip("timm")

from replication_bench.embedders.open_clip import OpenClip
from replication_bench.testing.embedder_checks import pictures

ROOT = Path(__file__).parents[1]
CAPTIONS = [
    f"{colour} {shape}" for colour in ("red", "green", "blue", "black") for shape in ("circle", "square")
]


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    names = ("augment", "model", "pack", "prepare", "steps", "teacher", "train", "views")
    rooms = SimpleNamespace(**{name: import_module(f"clip.{name}") for name in names})
    for name, value in (("BATCH", 4), ("PHRASES", 8)):
        monkeypatch.setattr(rooms.train, name, value)
    monkeypatch.setattr(rooms.views, "VIEWS", 2)
    monkeypatch.setattr(rooms.augment, "PIXELS", 32)
    return rooms


@pytest.fixture
def deterministic():
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cuda.enable_flash_sdp(True)
    torch.backends.cuda.enable_mem_efficient_sdp(True)


@pytest.fixture
def work(recipe: SimpleNamespace, tmp_path: Path) -> Path:
    """A prepared folder: drawings, tokens and vectors of eight captions, a random tower."""
    rng = np.random.default_rng(0)
    tokenizer = recipe.prepare.new_tokenizer(CAPTIONS, [])
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    tokens = recipe.prepare.token_rows(tokenizer, CAPTIONS)
    torch.manual_seed(0)
    state = recipe.model.new_model(len(tokenizer)).visual.state_dict()
    np.savez(
        tmp_path / "data.npz",
        drawings=rng.integers(0, 255, (len(CAPTIONS), 24, 24, 4), dtype=np.uint8),
        caption_rows=np.arange(len(CAPTIONS), dtype=np.int32),
        tokens=tokens,
        templated=tokens,
        vectors=rng.integers(-127, 127, (len(CAPTIONS), recipe.model.WIDTH), dtype=np.int8),
        vocabulary=np.array(len(tokenizer)),
        **{f"tower.{name}": tensor.numpy() for name, tensor in state.items()},
    )
    return tmp_path


def towers(work: Path) -> list[bytes]:
    return [(work / f"{tower}.safetensors").read_bytes() for tower in ("text", "image")]


def train(recipe: SimpleNamespace, work: Path, seed: int = 0) -> list[bytes]:
    for tower, budget in (("text", 24), ("image", 12)):
        recipe.train.train(work, tower, budget, device="cpu", seed=seed, validate=False)
    return towers(work)


@pytest.mark.usefixtures("deterministic")
def test_it_trains_repeats_and_packs(
    recipe: SimpleNamespace, work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(recipe, work)
    assert "100.0% loss" in capsys.readouterr().out
    for path in work.glob("*.pt"):
        path.unlink()
    assert train(recipe, work) == first
    other = train(recipe, work, seed=1)
    assert all(one != two for one, two in zip(first, other, strict=True))
    recipe.pack.pack(work, tmp_path / "packed")
    assert "MiB" in capsys.readouterr().out
    shutil.rmtree(work / "tokenizer")  # the packed folder stands alone
    embed = OpenClip(path=str(tmp_path / "packed"))
    assert (embed.protocol.pixels, embed.protocol.resize, embed.dim) == (128, "squash", 256)
    assert embed(pictures(2)).shape == embed.texts(CAPTIONS[:2]).shape == (2, 256)
    assert embed.count_cut(["red " * 60, "red"]) == 1


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("tower", ["text", "image"])
def test_an_interrupted_training_goes_on_to_the_same_weights(
    recipe: SimpleNamespace, work: Path, monkeypatch: pytest.MonkeyPatch, tower: str
) -> None:
    whole = towers_after(recipe, work, tower)
    (work / f"{tower}.pt").unlink()
    monkeypatch.setattr(recipe.steps, "SECONDS", 0)
    write, written = recipe.steps.Checkpoint.write, []

    def stopping(self: object, step: int, now: bool = False) -> None:
        write(self, step, now)
        written.append(step)
        if step == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(recipe.steps.Checkpoint, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        towers_after(recipe, work, tower)
    assert towers_after(recipe, work, tower) == whole
    assert written == [1, 2, 3, 3]


def towers_after(recipe: SimpleNamespace, work: Path, tower: str) -> bytes:
    recipe.train.train(work, tower, {"text": 24, "image": 12}[tower], "cpu", 0, validate=False)
    return (work / f"{tower}.safetensors").read_bytes()


@pytest.mark.usefixtures("deterministic")
def test_a_tenth_is_kept_back_from_training(recipe: SimpleNamespace, work: Path) -> None:
    arrays = dict(np.load(work / "data.npz"))
    data = recipe.train.load(arrays, "cpu", validate=True)
    assert data.kept.tolist() == [3]
    assert sorted([*data.shown.tolist(), 3]) == list(range(8))
    rows = torch.cat([recipe.steps.shuffled(step, 4, 7, seed=0) for step in range(14)])
    assert torch.bincount(rows, minlength=7).tolist() == [8] * 7
    assert rows[:7].tolist() != rows[7:14].tolist()


def test_short_texts_are_encoded_as_open_clip_does(recipe: SimpleNamespace, work: Path) -> None:
    arrays = dict(np.load(work / "data.npz"))
    model = recipe.model.new_model(int(arrays["vocabulary"])).eval()
    texts = ["red circle", "red", "red circle red circle blue", "square", "blue blue blue blue blue blue"]
    tokens = torch.from_numpy(
        recipe.prepare.token_rows(recipe.prepare.new_tokenizer(CAPTIONS, []), texts)
    ).long()
    assert len(set(tokens.argmax(1).tolist())) > 2
    with torch.no_grad():
        torch.testing.assert_close(recipe.model.encode_short(model, tokens), model.encode_text(tokens))


def test_the_image_tower_is_its_two_halves(recipe: SimpleNamespace, work: Path) -> None:
    visual = recipe.model.new_model(int(np.load(work / "data.npz")["vocabulary"])).visual.eval()
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        halves = recipe.model.upper(visual, recipe.model.lower(visual, pixels))
        torch.testing.assert_close(halves, visual(pixels))


def test_packed_tokens_are_those_of_the_training(recipe: SimpleNamespace, tmp_path: Path) -> None:
    """open_clip pads with the end token where the training padded with zeros; up to the end they agree."""
    from open_clip.tokenizer import HFTokenizer

    made = recipe.prepare.new_tokenizer(CAPTIONS, [])
    made.save_pretrained(tmp_path)
    read = HFTokenizer(str(tmp_path), context_length=recipe.model.LENGTH)(CAPTIONS).numpy()
    trained = recipe.prepare.token_rows(made, CAPTIONS)
    for ours, theirs in zip(trained, read, strict=True):
        end = int(ours.argmax())
        assert end == int(theirs.argmax())
        np.testing.assert_array_equal(ours[: end + 1], theirs[: end + 1])


def test_augmented_drawings_keep_their_range_and_differ(recipe: SimpleNamespace) -> None:
    drawings = torch.randint(0, 255, (6, 4, 24, 24), generator=torch.Generator().manual_seed(0)).byte()
    one, two = (recipe.augment.augmented(drawings, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert one.shape == (6, 3, 32, 32)
    assert 0 <= one.min() <= one.max() <= 1
    assert not torch.allclose(one, two)
    assert torch.equal(one, recipe.augment.augmented(drawings, torch.Generator().manual_seed(0)))
    clear = drawings.clone()
    clear[:, 3] = 0
    assert recipe.augment.plain(clear).min() == 1


def test_the_projection_starts_at_the_names_of_what_is_seen(recipe: SimpleNamespace) -> None:
    rng = np.random.default_rng(0)
    names = recipe.teacher.unit(rng.normal(size=(1000, 256)))
    classifier = rng.normal(size=(1000, 1280))
    feature = classifier[7]  # what the classifier reads as class 7
    landed = recipe.prepare.projection(classifier, names) @ feature
    assert int((names @ landed).argmax()) == 7


def test_the_teachers_space_keeps_similarities(recipe: SimpleNamespace) -> None:
    rows = recipe.teacher.unit(np.random.default_rng(0).normal(size=(50, 20)) + 3)
    reduced = recipe.teacher.reduced(rows, 20)
    centred = recipe.teacher.unit(rows - rows.mean(0))
    np.testing.assert_allclose(reduced @ reduced.T, centred @ centred.T, atol=1e-5)
