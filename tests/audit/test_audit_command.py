from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from audit_cases import Command, Quick
from drawn import fill, noise
from PIL import Image

from replication_bench.results import Result, read_result
from replication_bench.statistics import wilson_interval

FEW = ("--set", "measure.bootstrap=5")


def audit(command: Command, generated: Path, train: Path, out: Path, *more: object) -> dict:
    flags = ("--generated", generated, "--train", train, "--out", out, *FEW, "--json", *more)
    status, text, err = command("audit", *flags)
    assert status == 0, err
    return json.loads(text)


def value(result: dict, name: str) -> float | None:
    return next(m["value"] for m in result["measurements"] if m["name"] == name)


def reason(result: dict, name: str) -> str:
    return next(m["reason"] for m in result["measurements"] if m["name"] == name)


def test_an_audit_names_the_copies_and_their_sources(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = audit(command, *sets, out)
    assert Result.model_validate(result) == read_result(out / "result.json")
    assert {p.name for p in out.iterdir()} == {
        *("result.json", "matches.parquet", "matches.csv", "pairs.png", "skipped.csv", ".lock")
    }
    table = pd.read_parquet(out / "matches.parquet")
    copies = table[table["label"] == "exact"]
    assert dict(zip(copies["generated"], copies["train"], strict=True)) == {
        "1.png": "3.png",
        "4.png": "5.png",
    }
    assert len(table) == 6 * 5
    assert len(pd.read_csv(out / "matches.csv")) == len(table)
    assert value(result, "copies_share") == pytest.approx(2 / 6)
    assert value(result, "copied_groups") == 2
    for name in ("r_star", "floor_95pc", "threshold", "sim_gt_calibrated", "own_prompt_mean"):
        assert value(result, name) is None
        assert reason(result, name)
    with Image.open(out / "pairs.png") as sheet:
        assert sheet.size[0] > 500
    shown = command("audit", "--generated", sets[0], "--train", sets[1], "--out", out, *FEW)[1]
    assert "2 of 6 generated images are copies (similarity above 0.75) of 2 training images" in shown
    assert "not measured: own prompt, mean: no prompts were given" in shown
    assert reason(result, "own_prompt_mean") == "no prompts were given"
    for name in ("floor_mean", "floor_95pc", "floor_gt_05pc", "local_floor_95pc"):
        assert reason(result, name) == "no held-out images"
    for name in ("ceiling_mean", "ceiling_95pc"):
        assert reason(result, name) == "no backbone, so no ceiling"
    assert (
        "copy: 0.75 (published for SSCD disc_mixup at 288 or 320 px, without basis for sscd, quick-4), "
        in shown
    )
    assert "not calibrated: no held-out images; 99 images of --heldout calibrate it" in shown


def test_the_same_command_computes_nothing_again_and_changed_images_do(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    first = audit(command, *sets, tmp_path / "out")
    seen = Quick.seen
    assert audit(command, *sets, tmp_path / "out") == first
    assert Quick.seen == seen
    noise("train0.png").save(sets[0] / "0.png", compress_level=1)
    again = audit(command, *sets, tmp_path / "out")
    assert Quick.seen == seen + 1
    assert value(again, "copies_share") == 0.5


def test_another_audit_is_not_overwritten(command: Command, sets: tuple[Path, Path], tmp_path: Path) -> None:
    audit(command, *sets, tmp_path / "out")
    flags = ("--generated", sets[1], "--train", sets[0], "--out", tmp_path / "out", *FEW)
    status, _, err = command("audit", *flags)
    assert status == 2
    assert "the folder holds another result" in err
    assert command("audit", *flags, "--force")[0] == 0


def test_prompts_give_the_similarity_to_the_own_training_image(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    for i in range(8):
        (train / f"{i}.txt").write_text(f"caption {i}")
    prompts = tmp_path / "p.txt"
    prompts.write_text("caption 0\ncaption 3\nelsewhere\ncaption 1\ncaption 1\nelsewhere\n")
    result = audit(command, generated, train, tmp_path / "out", "--prompts", prompts)
    first = pd.read_parquet(tmp_path / "out" / "matches.parquet").query("rank == 1").set_index("generated")
    assert first["own_prompt"].isna().tolist() == [False, False, True, False, False, True]
    assert first.loc["1.png", "own_prompt"] == pytest.approx(first.loc["1.png", "similarity"], abs=1e-6)
    assert first.loc["4.png", "own_prompt"] < first.loc["4.png", "similarity"]
    assert value(result, "own_prompt_mean") == pytest.approx(first["own_prompt"].mean(), abs=1e-6)
    prompts.write_text("elsewhere\n" * 6)
    strange = audit(command, generated, train, tmp_path / "strange", "--prompts", prompts)
    assert reason(strange, "own_prompt_mean") == "no prompt is the caption of a training image"
    prompts.write_text("one line\n")
    flags = ("--generated", generated, "--train", train, "--prompts", prompts)
    status, _, err = command("audit", *flags)
    assert status == 2
    assert "got 1 lines; want 6" in err


def test_shares_are_drawn_by_prompt_where_one_image_has_none(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    for i in (0, 1, 4):  # all copies are of one prompt
        (generated / f"{i}.txt").write_text("one")
    result = audit(command, generated, train, tmp_path / "out", "--set", "measure.bootstrap=200")
    shares = {
        m["name"]: (m["low"], m["high"]) for m in result["measurements"] if m["name"].endswith("_share")
    }
    wilson = wilson_interval(2 / 6, 6, 0.95)
    assert shares["copies_share"][0] == shares["exact_share"][0] == 0 < wilson[0]


def test_copies_of_repeated_images_are_told_apart(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    for again in "abc":
        noise("train3.png", side=16).save(train / f"3{again}.png")
    result = audit(command, generated, train, tmp_path / "out")
    assert value(result, "train_grouped") == pytest.approx(4 / 11)
    assert value(result, "copies_from_grouped") == 0.5
    shown = command("audit", "--generated", generated, "--train", train, "--out", tmp_path / "out", *FEW)[1]
    assert "different groups copied" in shown
    assert "different images copied" not in shown  # which the headline counts
    first = pd.read_parquet(tmp_path / "out" / "matches.parquet").query("rank == 1").set_index("generated")
    assert first.loc["1.png", "group_size"] == 4
    assert first.loc["4.png", "group_size"] == 1
    status, text, _ = command("duplicates", train, "--json", "--out", tmp_path / "d.csv")
    assert status == 0
    groups = json.loads(text)["groups"]
    assert [[m["id"] for m in g["members"]] for g in groups] == [["3.png", "3a.png", "3b.png", "3c.png"]]
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 5
    assert "4 of 11 images are in 1 groups" in command("duplicates", train)[1]


def test_grouped_and_repeated_training_images_are_two_numbers_under_two_names(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    """A training image that is alike above 0.75 and below 0.95 is in a group, and is not repeated."""
    generated, train = sets
    other, own = noise("other"), noise("train3.png")
    Image.blend(own, other, 0.4).save(train / "like3.png")
    noise("train5.png", side=16).save(train / "5a.png")
    result = audit(command, generated, train, tmp_path / "out")
    rows = Quick()([own, Image.blend(own, other, 0.4)])
    assert 0.75 < rows[0] @ rows[1] < 0.95
    assert value(result, "train_grouped") == pytest.approx(4 / 10)
    assert value(result, "train_repeated") == pytest.approx(2 / 10)
    assert value(result, "copies_from_grouped") == 1
    assert value(result, "copied_repeated") == 0.5


def test_a_saved_index_stands_for_its_images(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    plain = audit(command, generated, train, tmp_path / "a")
    assert command("index", train, "--out", tmp_path / "index")[0] == 0
    for path in train.iterdir():
        path.unlink()
    saved = audit(command, generated, tmp_path / "index", tmp_path / "b")
    assert saved["images"][1]["kind"] == "folder"
    assert saved["images"][1]["fingerprint"] == plain["images"][1]["fingerprint"]
    assert value(saved, "R") == value(plain, "R")
    assert (tmp_path / "b" / "pairs.png").exists()
    flags = ("--generated", generated, "--train", tmp_path / "index", "--embedder", "sscd@quick-6", *FEW)
    status, _, err = command("audit", *flags, "--out", tmp_path / "c")
    assert status == 2
    assert Quick().protocol.hash[:12] in err
    assert Quick(6).protocol.hash[:12] in err
    status, text, _ = command("audit", *flags, "--out", tmp_path / "c", "--force", "--json")
    assert status == 0
    forced = json.loads(text)
    assert "forced comparison of unlike protocols" in forced["notes"][0]
    assert all("forced" in m["note"] for m in forced["measurements"])


def test_several_embedders_stand_side_by_side(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    more = ("--embedder", "sscd@quick-4", "--embedder", "sscd@quick-8")
    result = audit(command, *sets, tmp_path / "out", *more)
    hashes = {m["protocol"] for m in result["measurements"]}
    assert hashes == {Quick(4).protocol.hash, Quick(8).protocol.hash}
    assert result["protocol"] == Quick(4).protocol.hash
    assert (tmp_path / "out" / "matches-sscd-quick-8.parquet").exists()
    flags = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", *FEW, *more)
    assert "quick-8" in command("audit", *flags)[1]


def test_held_out_images_calibrate_and_may_not_be_training_images(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    heldout = fill(tmp_path / "heldout", [f"{i}.png" for i in range(30)], "heldout")
    result = audit(command, *sets, tmp_path / "out", "--heldout", heldout)
    assert value(result, "threshold") is not None
    assert value(result, "floor_95pc") is not None
    assert reason(result, "r_star") == "no backbone, so no ceiling"
    (heldout / "x.png").write_bytes((sets[1] / "0.png").read_bytes())
    flags = ("--generated", sets[0], "--train", sets[1], "--heldout", heldout, "--out", tmp_path / "o")
    status, _, err = command("audit", *flags)
    assert status == 2
    assert "held-out images that are training images" in err


def test_one_folder_given_twice_is_told(command: Command, sets: tuple[Path, Path], tmp_path: Path) -> None:
    generated, train = sets
    said = "all 6 generated images are byte-identical to training images: was one folder given twice?"
    assert audit(command, generated, generated, tmp_path / "twice")["notes"] == [said]
    assert audit(command, generated, train, tmp_path / "out")["notes"] == []


def test_a_link_to_nothing_is_listed_and_files_of_other_kinds_are_counted(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    generated, train = sets
    quiet = audit(command, generated, train, tmp_path / "out")
    assert quiet["images"][0]["notes"] == []
    for name in ("x.avif", "y.AVIF", "x.jfif", "x.heic", "x.jp2", "x.tga", "plain", "notes.txt", ".z.heic"):
        (generated / name).write_bytes(b"x")
    (generated / "dangling.png").symlink_to("gone.png")
    (generated / "dangling").symlink_to("gone")
    (tmp_path / "elsewhere").mkdir()
    (generated / "more").symlink_to(tmp_path / "elsewhere")
    result = audit(command, generated, train, tmp_path / "out")
    told = result["images"][0]
    assert (told["found"], told["used"], told["skipped"]) == (7, 6, 1)
    assert told["notes"] == [
        "9 files of other kinds were not read: .avif 2, without extension 2, .heic 1, .jfif 1, .jp2 1, .tga 1, "
        "link to a folder 1"
    ]
    with (tmp_path / "out" / "skipped.csv").open() as file:
        (line,) = csv.DictReader(file)
    assert (line["role"], line["id"]) == ("generated", "dangling.png")
    assert "a link to nothing: gone.png" in line["reason"]
    shown = command("audit", "--generated", generated, "--train", train, "--out", tmp_path / "out", *FEW)[1]
    assert "9 files of other kinds were not read" in shown
    assert "9 files of other kinds were not read" in command("duplicates", generated)[1]


def test_one_corrupt_image_among_many_is_listed_counted_and_skipped(command: Command, tmp_path: Path) -> None:
    one = noise(1)
    train = tmp_path / "train"
    train.mkdir()
    one.save(train / "0.bmp")
    data = (train / "0.bmp").read_bytes()
    for i in range(1, 10_000):
        (train / f"{i}.bmp").write_bytes(data[:-3] + i.to_bytes(3, "big"))
    (train / "7777.bmp").write_bytes(data[:80])
    status, text, err = command("index", train, "--out", tmp_path / "index", "--json")
    assert status == 0, err
    found = json.loads(text)
    assert (found["found"], found["images"], len(found["skipped"])) == (10_000, 9_999, 1)
    assert found["skipped"][0]["id"] == "7777.bmp"


def test_a_corrupt_training_image_is_listed_counted_and_skipped(
    command: Command, sets: tuple[Path, Path], tmp_path: Path
) -> None:
    (sets[1] / "7.png").write_bytes((sets[1] / "7.png").read_bytes()[:60])
    flags = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", "--json", *FEW)
    status, text, err = command("audit", *flags)
    assert status == 0, err
    images = json.loads(text)["images"][1]
    assert (images["found"], images["used"], images["skipped"]) == (8, 7, 1)
    assert "train: 1 of 8 skipped, listed in" in err
    with (tmp_path / "out" / "skipped.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["role"], row["id"]) for row in rows] == [("train", "7.png")]
    assert "cannot be read" in rows[0]["reason"]


def test_images_of_every_kind(command: Command, sets: tuple[Path, Path], tmp_path: Path) -> None:
    generated, train = sets
    picture = noise("x", 16)
    for place in ("a", "b"):  # equal names in unlike folders
        (generated / place).mkdir()
        picture.save(generated / place / "same.png")
    picture.convert("L").save(generated / "grey.png")
    picture.convert("CMYK").save(generated / "cmyk.tif")
    picture.save(generated / "moving.gif", save_all=True, append_images=[noise("y", 16)])
    clear = picture.convert("RGBA")
    clear.putalpha(128)
    clear.save(generated / "clear.png")
    Image.new("I;16", (9, 9), 40_000).save(generated / "deep.png")
    Image.new("RGB", (1, 1)).save(generated / "pixel.png")
    Image.new("RGB", (3, 4000)).save(generated / "strip.png")
    (generated / "empty.png").touch()
    (generated / "broken.png").write_bytes((generated / "0.png").read_bytes()[:40])
    result = audit(command, generated, train, tmp_path / "out")
    images = result["images"][0]
    assert images["first_frame"] == 1
    assert (images["found"], images["used"], images["skipped"]) == (17, 13, 4)
    skipped = pd.read_csv(tmp_path / "out" / "skipped.csv").set_index("id")["reason"]
    assert set(skipped.index) == {"pixel.png", "strip.png", "empty.png", "broken.png"}
    assert "1 x 1 pixels" in skipped["pixel.png"]
    assert "3 x 4000 pixels" in skipped["strip.png"]
    used = set(pd.read_parquet(tmp_path / "out" / "matches.parquet")["generated"])
    assert {"a/same.png", "b/same.png", "grey.png", "cmyk.tif", "moving.gif", "clear.png", "deep.png"} < used
    flags = ("--generated", generated, "--train", train, "--out", tmp_path / "out", *FEW)
    assert "4 skipped, first frame of 1 animated" in command("audit", *flags)[1]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--embedder", "ssdc"), "unknown embedder 'ssdc'. Did you mean 'sscd'?"),
        (("--embedder", "sscd@dcr"), "no protocol 'dcr'"),
        (("--embedder", "sscd@other-6"), "cannot follow the protocol 'other-6'"),
        (("--embedder", "sscd,pixels"), "want NAME"),
        (("--embedder", "sscd", "--embedder", "sscd"), "named twice"),
        (("--embedder", "sscd-torchscript"), "the SSCD weights are missing"),
        (("--set", "train.budget=3"), "an audit has no such setting"),
        (("--set", "measure.bootstap=3"), "unknown key"),
        (("--duplicate-threshold", "3"), "no such similarity"),
        (("--heldout", "nowhere"), "no images there"),
        (("--generated", "x"), "no images there"),
        (("--trian", "x"), "No such option"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    command: Command, sets: tuple[Path, Path], tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    given = ("--generated", sets[0], "--train", sets[1], "--out", tmp_path / "out", *flags)
    status, out, err = command("audit", *given)
    assert status == 2
    assert words in err
    assert err.count("\n") == 1
    assert out == ""


def test_an_audit_does_without_torch() -> None:
    code = (
        "import sys\nimport replication_bench.commands.audit, replication_bench.commands.index\n"
        "import replication_bench.commands.duplicates\nfrom replication_bench.metrics import all_metrics\n"
        "all_metrics()\nimport replication_bench.embedders.sscd_onnx\n"
        "assert not {'torch', 'diffusers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
