"""Audits beyond the copy detector: parts of images, prompts, other networks' spaces, an index of a corpus."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_cases import Command, Quick
from PIL import Image

from replication_bench import plugins
from replication_bench.embedders.protocol import ImageProtocol
from replication_bench.metrics.frechet import frechet_distance

FEW = ("--set", "measure.bootstrap=5")


class Wordy(Quick):
    """Knows two words: the first axis and the second."""

    name, dim = "pocket-clip", 48

    def __init__(self) -> None:
        self.protocol = ImageProtocol(name="wordy", weights_sha256="1" * 64)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(48, dtype=np.float32)[[("first", "second").index(text) for text in texts]]

    def count_cut(self, texts: Sequence[str]) -> int:
        return 0


class Raw(Quick):
    """Twelve colours as they are, and as unit vectors."""

    name, dim = "inception", 12

    def __init__(self) -> None:
        self.protocol = ImageProtocol(name="raw", weights_sha256="2" * 64)

    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        return np.stack([np.asarray(i.resize((2, 2)), np.float32).ravel() for i in images]) / 100

    def __call__(self, images: Sequence[Image.Image]) -> np.ndarray:
        rows = self.features(images)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def networks(quick: type[Quick], monkeypatch: pytest.MonkeyPatch) -> None:
    load, made = plugins.load, {"pocket-clip": Wordy, "inception": Raw}
    monkeypatch.setattr(plugins, "load", lambda kind, name: made.get(name) or load(kind, name))


def texture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def save(folder: Path, pictures: Sequence[np.ndarray]) -> Path:
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def textures(tmp_path: Path) -> tuple[Path, Path]:
    """Three generated images (new; the left half of training image 17; a copy of 4) and twenty training images."""
    train = [texture(seed) for seed in range(20)]
    colours = np.random.default_rng(7).integers(0, 255, (4, 2, 3), dtype=np.uint8)
    half = colours.repeat(16, axis=0).repeat(32, axis=1)  # they decide what it resembles as a whole
    half[:, :32] = train[17][:, :32]
    return save(tmp_path / "made", [texture(100), half, train[4]]), save(tmp_path / "real", train)


def run(command: Command, generated: Path, train: Path, out: Path, *more: object) -> dict:
    status, text, err = command(
        "audit", "--generated", generated, "--train", train, "--out", out, *FEW, "--json", *more
    )
    assert status == 0, err
    return json.loads(text)


def found(result: dict, name: str) -> list[dict]:
    return [m for m in result["measurements"] if m["name"] == name]


def test_a_copied_half_is_a_template_and_names_its_source(
    command: Command, textures: tuple[Path, Path], tmp_path: Path
) -> None:
    result = run(command, *textures, tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out" / "matches.parquet")
    first = table[table["rank"] == 1].set_index("generated")
    assert first.loc["2.png", ["train", "label"]].tolist() == ["4.png", "exact"]
    assert set(table[table["generated"] == "0.png"]["label"]) == {"none"}
    part = table[table["label"] == "template"]
    assert part[["generated", "train"]].to_numpy().tolist() == [["1.png", "17.png"]]
    assert part["local"].item() > 0.99
    assert part["similarity"].item() < 0.75
    flags = ("--generated", textures[0], "--train", textures[1], "--out", tmp_path / "out", *FEW)
    assert (
        "1 of 3 generated images are copies (similarity above 0.75) of 1 training images; 1 more copy half"
        in (command("audit", *flags)[1])
    )
    wanted = run_rank(textures, part["similarity"].item())
    assert part["rank"].item() == wanted > 5
    assert table["local"].notna().all()
    assert found(result, "template_share")[0]["value"] == pytest.approx(1 / 3)
    assert found(result, "exact_share")[0]["value"] == pytest.approx(1 / 3)


def run_rank(textures: tuple[Path, Path], similarity: float) -> int:
    """The place of the template's source among all training images."""
    generated, train = textures
    embed = Quick()
    one = embed([Image.open(generated / "1.png").convert("RGB")])[0]
    rows = embed([Image.open(train / f"{i}.png").convert("RGB") for i in range(20)])
    return 1 + int(((rows @ one) > similarity + 1e-6).sum())


def test_prompts_are_compared_with_the_images_under_the_name_of_the_model(
    command: Command, networks: None, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("first\nsecond\nfirst\nfirst\nfirst\nfirst\n")
    more = ("--prompts", prompts, "--set", "measure.alignment=pocket-clip")
    result = run(command, *sets, tmp_path / "out", *more)
    (score,) = found(result, "alignment_mean")
    rows = Wordy()([Image.open(sets[0] / f"{i}.png").convert("RGB") for i in range(6)])
    wanted = [row[1 if place == 1 else 0] for place, row in enumerate(rows)]
    assert score["value"] == pytest.approx(float(np.mean(wanted)), abs=1e-6)
    assert (score["embedder"], score["protocol"]) == ("pocket-clip", Wordy().protocol.hash)
    assert score["note"] == "text alignment (wordy)"
    assert "is no CLIP score" in found(result, "clip_score")[0]["reason"]
    flags = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", *FEW, *more)
    shown = command("audit", *flags)[1]
    assert f"fit to the prompts {score['value']:.3f}" in " ".join(shown.split())
    assert "fit to the prompts: text alignment (wordy)" in shown
    two = run(command, *sets, tmp_path / "two", *more, "--embedder", "sscd", "--embedder", "sscd@quick-8")
    assert len(found(two, "alignment_mean")) == 1
    assert len(found(two, "sim_mean")) == 2
    bare = run(command, *sets, tmp_path / "bare")
    assert found(bare, "alignment_mean")[0]["reason"] == "no prompts were given; see --prompts"
    off = run(command, *sets, tmp_path / "off", "--prompts", prompts, "--set", "measure.alignment=none")
    assert found(off, "alignment_mean")[0]["reason"] == "measure.alignment is 'none'"


def test_fid_is_taken_on_what_inception_gives_and_is_there_once(
    command: Command, networks: None, textures: tuple[Path, Path], tmp_path: Path
) -> None:
    more = ("--embedder", "sscd", "--embedder", "inception")
    result = run(command, *textures, tmp_path / "out", *more)
    (fid,) = found(result, "fid_train")
    sets = [
        Raw().features([Image.open(folder / f"{i}.png").convert("RGB") for i in range(count)])
        for folder, count in zip(textures, (3, 20), strict=True)
    ]
    assert fid["value"] == pytest.approx(frechet_distance(*sets), rel=1e-4)
    assert fid["embedder"] == "inception"
    assert fid["note"].startswith("raw; low_n")
    assert len(found(result, "local_mean")) == 2
    assert command("index", textures[1], "--out", tmp_path / "index", "--embedder", "inception")[0] == 0
    saved = run(command, textures[0], tmp_path / "index", tmp_path / "b")
    assert found(saved, "fid_train")[0]["value"] == pytest.approx(fid["value"], rel=1e-5)


def test_without_its_images_a_saved_index_has_no_pixels_and_a_changed_image_is_told(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    assert command("index", train, "--out", tmp_path / "index")[0] == 0
    (train / "2.png").write_bytes((generated / "0.png").read_bytes())
    flags = ("--generated", generated, "--train", tmp_path / "index", "--out", tmp_path / "a", *FEW)
    status, _, err = command("audit", *flags)
    assert status == 2
    assert "the image was changed after it was indexed; in 2.png" in err
    (train / "2.png").unlink()
    result = run(command, generated, tmp_path / "index", tmp_path / "b")
    reason = found(result, "template_share")[0]["reason"]
    assert reason == "images of the saved index are not at hand: 1 of 8, first 2.png"
    table = pd.read_parquet(tmp_path / "b" / "matches.parquet")
    assert table["local"].isna().all()
    assert (table["label"] == "exact").sum() == 2


def write_tar() -> Callable[..., Path]:
    sys.path.insert(0, str(Path(__file__).parents[1] / "corpus"))
    from corpus_parts import write_tar as write

    return write


def test_an_index_of_a_corpus_is_a_training_set(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    members = [(f"{i:04d}.png", (train / f"{i}.png").read_bytes()) for i in range(8)]
    members.insert(4, ("0003.txt", b"a caption"))
    members.append(("0009.png", b"broken"))
    write_tar()(tmp_path / "tars" / "00000.tar", members)
    status, _, err = command(
        "corpus", tmp_path / "tars", "--out", tmp_path / "corpus", "--option", "pixels=5"
    )
    assert status == 0, err
    plain = run(command, generated, train, tmp_path / "a")
    result = run(command, generated, tmp_path / "corpus", tmp_path / "b")
    assert result["protocol"] == Quick(5).protocol.hash
    images = result["images"][1]
    assert (images["kind"], images["used"], images["skipped"], images["captioned"]) == ("corpus", 8, 1, 1)
    assert found(result, "R")[0]["value"] == pytest.approx(found(plain, "R")[0]["value"], abs=1e-3)
    table = pd.read_parquet(tmp_path / "b" / "matches.parquet")
    copies = table[table["label"] == "exact"]
    assert copies["train"].tolist() == ["00000/0003", "00000/0005"]
    assert copies["train_caption"].tolist() == ["a caption", ""]
    flags = ("--generated", generated, "--train", tmp_path / "corpus", "--embedder", "sscd@quick-6", *FEW)
    status, _, err = command("audit", *flags, "--out", tmp_path / "c")
    assert status == 2
    assert "unlike protocols" in err
    (tmp_path / "corpus" / "ids.parquet").write_bytes(b"x")
    status, _, err = command(
        "audit", "--generated", generated, "--train", tmp_path / "corpus", "--out", tmp_path / "d"
    )
    assert status == 2
    assert "the ids cannot be read" in err
