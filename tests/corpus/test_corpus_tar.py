from __future__ import annotations

from pathlib import Path

import pytest
from corpus_parts import sample, write_shards, write_tar

from replication_bench.corpus import find_shards, read_shard
from replication_bench.errors import DataError
from replication_bench.sources.shards import open_shards


def test_members_of_one_key_are_one_sample(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", [*sample(1), *sample(2)])
    first, second = read_shard(shard)
    assert (first.key, first.caption, first.url) == ("000000001", "a text", "https://example.org/1.png")
    assert second.image is not None


def test_a_name_is_split_at_its_first_dot_as_webdataset_does(tmp_path: Path) -> None:
    shard = write_tar(
        tmp_path / "a.tar", [("d.e/x.left.png", b"1"), ("d.e/x.txt", b"t"), ("d.e/._x.png", b"2")]
    )
    (only,) = read_shard(shard)
    assert (only.key, only.image, only.caption) == ("d.e/x", b"1", "t")


def test_a_caption_is_what_a_source_of_an_audit_reads(tmp_path: Path) -> None:
    members = [
        ("x.png", b"1"),
        ("x.txt", b"a cat\nein Kater\n"),
        ("y.png", b"1"),
        ("y.json", b'{"text": "t"}'),
    ]
    shard = write_tar(tmp_path / "a.tar", members)
    captions = [member.caption for member in read_shard(shard)]
    assert (
        captions
        == ["a cat", "t"]
        == [entry.captions[0] for entry in open_shards(str(shard), [shard]).entries]
    )


def test_the_json_caption_serves_where_there_is_no_text(tmp_path: Path) -> None:
    shard = write_tar(
        tmp_path / "a.tar", [("x.json", b'{"caption": "from json"}'), ("y.json", b"[1]"), ("z.json", b"{")]
    )
    assert [member.caption for member in read_shard(shard)] == ["from json", "", ""]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_a_tar_cut_short_is_one_line(tmp_path: Path, keep: float) -> None:
    shard = write_shards(tmp_path, 1, 20)[0]
    content = shard.read_bytes()
    used = len(content.rstrip(b"\0"))  # the rest is padding behind the end mark
    shard.write_bytes(content[: int(used * keep)])
    with pytest.raises(DataError, match=r"the shard cannot be read.*00000\.tar"):
        list(read_shard(shard))


def test_a_tar_cut_between_two_members_is_one_line(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", [("x.png", b"1" * 512), ("y.png", b"2" * 512)])
    shard.write_bytes(shard.read_bytes()[:1024])
    with pytest.raises(DataError, match="end mark is missing"):
        list(read_shard(shard))


@pytest.mark.parametrize(
    ("content", "got"),
    [(b"", "an empty file"), (b"x" * 2000, "a file that is no tar"), (None, "No such file")],
)
def test_what_is_no_tar_is_one_short_line(tmp_path: Path, content: bytes | None, got: str) -> None:
    shard = tmp_path / "a.tar"
    if content is not None:
        shard.write_bytes(content)
    with pytest.raises(DataError, match=f"^the shard cannot be read; in .*a.tar; got {got}") as caught:
        list(read_shard(shard))
    assert len(str(caught.value)) < len(str(shard)) + 120


def test_a_scattered_key_is_refused(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "a.tar", [("x.png", b"1"), ("y.png", b"2"), ("x.txt", b"t")])
    with pytest.raises(DataError, match=r"scattered.*got x"):
        list(read_shard(shard))


def test_shards_are_found_in_natural_order_and_once(tmp_path: Path) -> None:
    for name in ("10", "9", "100"):
        write_tar(tmp_path / "many" / f"{name}.tar", sample(1))
    found = find_shards([tmp_path / "many", str(tmp_path / "many" / "9.tar")])
    assert [path.stem for path in found] == ["9", "10", "100"]


def test_shards_that_cannot_be_meant_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such shard"):
        find_shards([tmp_path / "none.tar"])
    with pytest.raises(DataError, match="holds no shards"):
        find_shards([tmp_path])
    (tmp_path / "a.zip").touch()
    with pytest.raises(DataError, match="not a shard"):
        find_shards([tmp_path / "a.zip"])
    for folder in "ab":
        write_tar(tmp_path / folder / "1.tar", sample(1))
    with pytest.raises(DataError, match="two shards have one name"):
        find_shards([tmp_path / "a", tmp_path / "b"])
