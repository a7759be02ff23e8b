"""``replbench data prepare laion-subset`` from links to shards, with what goes wrong on the web and on machines."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from drawn import noise
from links import Command, Prepare, metadata
from web import KINDS, SIDE, Web, picture, sha256

from replication_bench.data.images import choose_groups
from replication_bench.data.laion.dataset import LaionSubset
from replication_bench.data.laion.manifest import NAME, read_manifest
from replication_bench.errors import DataError


def good(web: Web, count: int, start: int = 0) -> list[str]:
    return [web.url(f"ok/{i}.{('jpg', 'png', 'webp')[i % 3]}") for i in range(start, start + count)]


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*.tar"))}


def test_what_arrived_is_kept_as_served_and_what_is_dead_has_its_reason(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    closed = "http://127.0.0.1:1/x.jpg"
    bad = [
        "nowhere/1.jpg",
        "html/1.jpg",
        "cut/1.jpg",
        "wide/1.png",
        "small/1.png",
        "huge/1.png",
        "noindex/1.jpg",
    ]
    urls = [*good(web, 6), web.url("again/77.jpg"), *map(web.url, bad), web.url("silent/1.jpg"), closed]
    status, facts, err = prepare("--metadata", metadata(tmp_path / "m.parquet", urls), "--size", len(urls),
        "--max-aspect", 3, "--out", tmp_path / "out")  # fmt: skip
    assert status == 0, err
    assert (facts["picked"], facts["arrived"], facts["dead"]) == (16, 7, 9)
    rows = {row.url: row for row in read_manifest(tmp_path / "out" / NAME).rows}
    assert [row.id for row in rows.values()] == [f"{i:09d}" for i in range(16)]
    for url in good(web, 6):
        name = url.rpartition("/")[2]
        data = picture(name, KINDS[name.rpartition(".")[2]][0])
        assert rows[url].sha256 == sha256(data)
        assert (rows[url].width, rows[url].height, rows[url].bytes) == (SIDE, SIDE, len(data))
    assert rows[web.url("again/77.jpg")].sha256 == sha256(picture("77.jpg", "JPEG"))
    reasons = {url.removeprefix(web.url("")).partition("/")[0]: row.reason for url, row in rows.items()}
    assert "404" in reasons["nowhere"]
    assert reasons["html"] == "no known image format"
    assert reasons["cut"] == "an image that cannot be decoded"
    assert reasons["wide"] == "sides beyond 3 to 1"
    assert reasons["small"] == "a side below 32 pixels"
    assert reasons["huge"] == "more than 89478485 pixels"
    assert "X-Robots-Tag" in reasons["noindex"]
    assert "timed out" in reasons["silent"]
    assert "refused" in rows[closed].reason
    assert not (tmp_path / "out" / "download").exists()


def test_the_dataset_opens_what_was_prepared(web: Web, prepare: Prepare, tmp_path: Path) -> None:
    urls = [*good(web, 12), web.url("again/0.jpg")]  # the last has the content of the first
    status, facts, err = prepare("--metadata", metadata(tmp_path / "m.parquet", urls), "--size", 13,
        "--heldout-share", 0.25, "--out", tmp_path / "out")  # fmt: skip
    assert status == 0, err
    splits = LaionSubset().load()
    assert splits.fingerprint == facts["fingerprint"] == LaionSubset(str(tmp_path / "out")).load().fingerprint
    assert (len(splits.train) + len(splits.heldout), len({e.id for e in splits.train})) == (
        13,
        len(splits.train),
    )
    hashes = sorted({e.sha256 for e in (*splits.train, *splits.heldout)})
    assert {e.sha256 for e in splits.heldout} == choose_groups([[name] for name in hashes], 0.25)
    assert not {e.sha256 for e in splits.train} & {e.sha256 for e in splits.heldout}
    rows = {row.id: row for row in read_manifest(tmp_path / "out" / NAME).rows}
    for example in (*splits.train, *splits.heldout):
        row = rows[example.id]
        assert example.captions == (row.caption,)
        if row.url.endswith("png"):
            assert example.load().tobytes() == noise(row.url.rpartition("/")[2], SIDE).tobytes()
    assert splits.note.startswith("laion-subset: 13 of 13 links gave an image; 25% held out")


def test_a_killed_download_goes_on_with_the_links_it_had_not(
    web: Web, prepare: Prepare, small_shards: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("--metadata", metadata(tmp_path / "m.parquet", good(web, 12)), "--size", 12)
    monkeypatch.setenv("QUICK_DIES", "2")
    status, _, err = prepare(*asked, "--out", tmp_path / "out")
    assert status == 2
    assert "the download stopped early" in err
    assert "got 8 of 12 links have an outcome" in err
    monkeypatch.delenv("QUICK_DIES")
    assert prepare(*asked, "--out", tmp_path / "out")[0] == 0
    assert set(web.asked.values()) == {1}
    status, facts, _ = prepare(*asked, "--out", tmp_path / "whole")
    assert facts["fingerprint"] == read_manifest(tmp_path / "out" / NAME).facts["fingerprint"]
    assert shards(tmp_path / "whole") == shards(tmp_path / "out")


def at_work(folder: Path) -> list[str]:
    """The processes that were started with this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
    return found


def test_the_command_itself_may_be_killed_anywhere(
    web: Web, quick: Path, prepare: Prepare, tmp_path: Path
) -> None:
    asked = (
        "--metadata",
        metadata(tmp_path / "m.parquet", good(web, 12)),
        "--size",
        12,
        "--out",
        tmp_path / "out",
    )
    words = ["data", "prepare", "laion-subset", *asked, "--min-side", 32, "--embedder", "none"]
    web.seconds = 0.2
    script = (
        "from replication_bench import cli; from replication_bench.data.laion import download; "
        "download.SHARD = 2; cli.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words), "--img2dataset", str(quick), "--timeout", "1"],
        env={**os.environ, "REPLBENCH_CACHE": str(tmp_path / "cache")},
    )
    deadline = time.monotonic() + 300
    while not list((tmp_path / "out").glob("download/000/*_stats.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    web.seconds = 60
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 50
    while at_work(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not at_work(tmp_path / "out")  # img2dataset ends with the command
    web.seconds = 0
    before = sum(web.asked.values())
    assert not (tmp_path / "out" / NAME).exists()
    status, facts, err = prepare(*asked)
    assert (status, facts["arrived"]) == (0, 12), err
    assert sum(web.asked.values()) - before <= 10  # the first shard was not fetched again


def test_a_second_call_verifies_and_fetches_only_what_is_damaged(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    asked = (
        "--metadata",
        metadata(tmp_path / "m.parquet", good(web, 9)),
        "--size",
        9,
        "--out",
        tmp_path / "out",
    )
    _, facts, _ = prepare(*asked)
    before, count = shards(tmp_path / "out"), sum(web.asked.values())
    assert prepare(*asked)[1]["fingerprint"] == facts["fingerprint"]
    assert sum(web.asked.values()) == count
    path = tmp_path / "out" / "shards" / "00000.tar"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        DataError, match=r"the shard is not whole; in .*of 9 images.*it fetches what is missing"
    ):
        LaionSubset(str(tmp_path / "out")).load()
    status, again, err = prepare("--out", tmp_path / "out")
    assert (status, again["fingerprint"]) == (0, facts["fingerprint"]), err
    assert count < sum(web.asked.values()) < 2 * count
    assert shards(tmp_path / "out") == before
    status, _, err = prepare(*asked, "--seed", 3)
    assert status == 2
    assert "there is another subset" in err
    assert "got seed = 0; want seed = 3" in err


def test_what_cannot_be_fetched_again_is_asked_for_until_the_subset_is_whole(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    out, path = tmp_path / "out", tmp_path / "out" / "shards" / "00000.tar"
    _, facts, _ = prepare(
        "--metadata", metadata(tmp_path / "m.parquet", good(web, 9)), "--size", 9, "--out", out
    )
    before, rows = shards(out), read_manifest(out / NAME).rows
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    web.gone.update(url.removeprefix(web.url("")[:-1]) for url in good(web, 9))
    for again in ((), ("--retry",), ()):
        status, offline, err = prepare("--out", out, *again)
        assert status == 2
        assert "images are not those of the manifest" in err
        assert f"want {facts['fingerprint'][:12]}. Run the same command" in err
        assert 0 < offline["arrived"] < 9
        left = read_manifest(out / NAME)
        assert [(row.sha256, row.split) for row in left.rows] == [(row.sha256, row.split) for row in rows]
        assert LaionSubset(str(out)).load().fingerprint == offline["fingerprint"] != facts["fingerprint"]
    path.unlink()
    assert "none of the links gave an image" in prepare("--out", out)[2]
    web.gone.clear()
    status, again, err = prepare("--out", out)
    assert (status, again["fingerprint"], again["differs"]) == (0, facts["fingerprint"], []), err
    assert (shards(out), read_manifest(out / NAME).rows) == (before, rows)


def test_another_machine_fulfils_the_manifest_or_lists_what_differs(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    urls = [*good(web, 9), web.url("nowhere/1.jpg")]
    _, facts, _ = prepare(
        "--metadata", metadata(tmp_path / "m.parquet", urls), "--size", 10, "--out", tmp_path / "a"
    )
    given = ("--manifest", shutil.copy(tmp_path / "a" / NAME, tmp_path / "given.jsonl"))
    status, second, err = prepare(*given, "--out", tmp_path / "b")
    assert (status, second["fingerprint"], second["differs"]) == (0, facts["fingerprint"], []), err
    assert shards(tmp_path / "a") == shards(tmp_path / "b")
    assert web.asked["/nowhere/1.jpg"] == 1  # what was dead stays so: it is no part of the data
    web.gone.add("/ok/1.png")
    web.changed.add("/ok/2.webp")
    status, third, err = prepare(*given, "--out", tmp_path / "c")
    assert status == 2
    assert "2 images are not those of the manifest" in err
    assert {row["url"].rpartition("/")[2]: row["reason"] for row in third["differs"]} == {
        "1.png": "HTTP Error 404: Not Found",
        "2.webp": "the content is no longer that of the manifest",
    }
    assert third["fingerprint"] != facts["fingerprint"]
    assert LaionSubset(str(tmp_path / "c")).load().fingerprint == third["fingerprint"]
    web.gone.clear()
    web.changed.clear()
    status, third, err = prepare(*given, "--out", tmp_path / "c")
    assert (status, third["fingerprint"]) == (0, facts["fingerprint"]), err


def test_a_manifest_from_anybody_cannot_name_files_of_this_machine(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    prepare(
        "--metadata", metadata(tmp_path / "m.parquet", good(web, 4)), "--size", 4, "--out", tmp_path / "a"
    )
    text = (tmp_path / "a" / NAME).read_text()
    for number, (old, new) in enumerate(
        (("http://127", "file:///127"), ("000000001", "../000001"), ("png", "sh"))
    ):
        (tmp_path / "given.jsonl").write_text(
            text.replace(f'"{old}' if number else old, f'"{new}' if number else new)
        )
        status, _, err = prepare("--manifest", tmp_path / "given.jsonl", "--out", tmp_path / f"{number}")
        assert status == 2
        assert "the manifest cannot be read" in err
        assert "a row that cannot be" in err
    (tmp_path / "given.jsonl").write_text(text)
    status, _, err = prepare("--manifest", tmp_path / "given.jsonl", "--size", 9, "--out", tmp_path / "b")
    assert (status, "there is another subset" in err, "got size = 4; want size = 9" in err) == (2, True, True)


@pytest.mark.parametrize(
    ("facts", "got"),
    [
        ({"format": 1}, "KeyError: 'asked'"),
        ({"format": 1, "asked": {}}, "KeyError: 'metadata'"),
        ({"format": 1, "asked": [], "metadata": []}, "TypeError: asked is no dict"),
        ([1], "TypeError: list indices"),
    ],
)
def test_a_manifest_without_its_facts_is_one_line(
    prepare: Prepare, tmp_path: Path, facts: object, got: str
) -> None:
    (tmp_path / "given.jsonl").write_text(json.dumps(facts) + "\n")
    status, _, err = prepare("--manifest", tmp_path / "given.jsonl", "--out", tmp_path / "b")
    assert (status, "the manifest cannot be read" in err, f"got {got}" in err) == (2, True, True), err


def test_when_every_link_is_dead_it_is_one_line_and_retry_fetches_them(
    web: Web, prepare: Prepare, command: Command, tmp_path: Path
) -> None:
    urls = good(web, 5)
    web.gone.update(url.removeprefix(web.url("")[:-1]) for url in urls)
    asked = ("--metadata", metadata(tmp_path / "m.parquet", urls), "--size", 5, "--out", tmp_path / "out")
    for _ in range(2):
        status, _, err = prepare(*asked)
        assert (status, "none of the links gave an image" in err) == (2, True)
        assert "got 5 of 5: HTTP Error 404" in err
    assert sum(web.asked.values()) == 5
    web.gone.clear()
    status, facts, err = prepare(*asked, "--retry")
    assert (status, facts["arrived"]) == (0, 5), err


def test_a_disk_that_is_full_is_one_line_and_nothing_is_lost(
    web: Web, prepare: Prepare, small_shards: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (
        "--metadata",
        metadata(tmp_path / "m.parquet", good(web, 12)),
        "--size",
        12,
        "--out",
        tmp_path / "out",
    )
    monkeypatch.setenv("QUICK_FULL", "2")
    status, _, err = prepare(*asked)
    assert status == 2
    assert "the disk is full" in err
    assert "got 8 of 12 links have an outcome" in err
    assert "Traceback" not in err
    monkeypatch.delenv("QUICK_FULL")
    assert prepare(*asked)[0] == 0
    assert set(web.asked.values()) == {1}


def test_a_disk_that_is_full_while_packing_keeps_the_download(
    web: Web, prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (
        "--metadata",
        metadata(tmp_path / "m.parquet", good(web, 6)),
        "--size",
        6,
        "--out",
        tmp_path / "out",
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    from replication_bench.data.laion import prepare as room

    pack = room.pack

    def limited(*arguments: object) -> object:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            return pack(*arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(room, "pack", limited)
    status, _, err = prepare(*asked)
    assert status == 2
    assert "cannot write" in err
    assert "run the same command: what is finished is kept" in err
    assert not list((tmp_path / "out").glob("shards/*"))
    monkeypatch.setattr(room, "pack", pack)
    assert prepare(*asked)[0] == 0
    assert set(web.asked.values()) == {1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["openmoji"], "the dataset 'openmoji' needs no preparation"),
        (["laion-subset"], "nothing to prepare from; want --metadata FILES.parquet, or --manifest FILE"),
        (["laion-subset", "--manifest", "none.jsonl"], "the manifest cannot be read"),
        (
            ["laion-subset", "--metadata", "x", "--size", "0"],
            "size: input should be greater than or equal to 3",
        ),
        (["laion-subset", "--metadata", "x", "--img2dataset", "./no"], "no metadata there"),
    ],
)
def test_bad_requests_are_one_line(
    command: Command, tmp_path: Path, arguments: list[str], words: str
) -> None:
    status, out, err = command("data", "prepare", *arguments, "--embedder", "none", "--out", tmp_path / "out")
    assert (status, out) == (2, "")
    assert words in err
    assert not (tmp_path / "out").exists()


def test_fewer_links_than_asked_is_one_line_before_anything_is_fetched(
    web: Web, prepare: Prepare, tmp_path: Path
) -> None:
    sides = {"WIDTH": [64, 64, 64, 8, 64], "HEIGHT": [64] * 5}
    path = metadata(tmp_path / "m.parquet", [*good(web, 4), *good(web, 1)], **sides)
    status, _, err = prepare("--metadata", path, "--size", 5, "--out", tmp_path / "out")
    assert status == 2
    assert [line[:10] for line in err.splitlines() if "\u2501" not in line] == ["replbench:"]
    assert "the metadata holds fewer rows than asked" in err
    assert "got 3 of 5 rows (left out: 1 a side below 32, 1 a link that stood before); want 5" in err
    assert "a smaller --size" in err
    assert sum(web.asked.values()) == 0


def test_no_img2dataset_is_one_line(web: Web, command: Command, tmp_path: Path) -> None:
    path = metadata(tmp_path / "m.parquet", good(web, 4))
    status, _, err = command("data", "prepare", "laion-subset", "--metadata", path, "--size", 4,
        "--embedder", "none", "--img2dataset", "/no/such", "--out", tmp_path / "out")  # fmt: skip
    assert status == 2
    assert "no img2dataset there; in --img2dataset; got /no/such" in err


def test_an_environment_that_cannot_be_made_is_one_line(
    web: Web, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    path = metadata(tmp_path / "m.parquet", good(web, 4))
    status, _, err = command("data", "prepare", "laion-subset", "--metadata", path, "--size", 4,
        "--embedder", "none", "--out", tmp_path / "out")  # fmt: skip
    assert status == 2
    assert "img2dataset cannot be installed" in err
    assert "--img2dataset PATH" in err
    assert sum(web.asked.values()) == 0


def test_nothing_prepared_tells_how_and_what_needs_nothing(command: Command, tmp_path: Path) -> None:
    status, _, err = command(
        "run", "--method", "loyal", "--dataset", "laion-subset", "--out", tmp_path / "runs"
    )
    assert status == 2
    assert "no subset of LAION is prepared on this machine" in err
    assert "replbench data prepare laion-subset --metadata" in err
    assert "'openmoji' needs no preparation" in err


def test_filters_that_cannot_be_applied_are_told(
    web: Web, command: Command, quick: Path, tmp_path: Path
) -> None:
    path = metadata(tmp_path / "m.parquet", good(web, 4), LANGUAGE=None)
    status, out, err = command("data", "prepare", "laion-subset", "--metadata", path, "--size", 4, "--min-side", 32,
        "--embedder", "none", "--img2dataset", quick, "--out", tmp_path / "out")  # fmt: skip
    assert status == 0, err
    assert "filter not applied: language (no column language in m.parquet)" in out
    assert "4 of 4 links gave an image" in out


def test_shards_are_webdataset(web: Web, prepare: Prepare, tmp_path: Path) -> None:
    prepare(
        "--metadata", metadata(tmp_path / "m.parquet", good(web, 4)), "--size", 4, "--out", tmp_path / "out"
    )
    with tarfile.open(tmp_path / "out" / "shards" / "00000.tar") as archive:
        names = archive.getnames()
        facts = json.loads(archive.extractfile("000000000.json").read())  # type: ignore[union-attr]
    assert [name for name in names if name.endswith(".txt")] == [f"{i:09d}.txt" for i in range(4)]
    assert facts["url"].startswith("http://127.0.0.1")
    assert len(facts["sha256"]) == 64
