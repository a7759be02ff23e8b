from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from replication_bench.data.images import (
    choose_groups,
    duplicate_groups,
    embedded,
    file_sha256,
    list_images,
    natural_key,
    read_image,
    verify_images,
)
from replication_bench.errors import DataError

RED, WHITE, BLACK = [255, 0, 0], [255, 255, 255], [0, 0, 0]


def saved(folder: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> list[list[list[int]]]:
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).tolist()


def test_names_are_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.png", "9.PNG", "b/2.jpg", "b/11.JPEG", "A1.webp", "a02.png", "B.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["9.PNG", "10.png", "A1.webp", "a02.png", "B.gif", "b/2.jpg", "b/11.JPEG"]


@given(st.lists(st.integers(0, 10**12)), st.text("ab1.-", max_size=3))
def test_numbers_in_names_are_compared_as_numbers(numbers: list[int], prefix: str) -> None:
    names = [f"{prefix}x{number}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}x{number}.png" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8), unique=True), st.randoms())
def test_the_natural_order_does_not_depend_on_the_order_found(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sorted(shuffled, key=natural_key) == sorted(names, key=natural_key)


def test_hidden_and_other_files_are_skipped(tmp_path: Path) -> None:
    for name in (".a.png", "__MACOSX/._b.png", ".cache/c.png", "notes.txt", "folder.png/d.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == ["d.gif"]


def test_a_hidden_parent_hides_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ".data" / "set"
    folder.mkdir(parents=True)
    (folder / "a.png").touch()
    assert list_images(folder) == [folder / "a.png"]


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").touch()
    with pytest.raises(
        DataError, match=r"^the folder holds no images; in .*; want files ending in .bmp .gif"
    ):
        list_images(tmp_path)


def test_a_folder_of_other_kinds_of_images_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    with pytest.raises(DataError, match=r"got 1 file of another kind was not read: \.heic 1; want files"):
        list_images(tmp_path)


def test_a_link_to_nothing_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    (found,) = list_images(tmp_path)
    with pytest.raises(DataError, match=r"got a link to nothing: gone\.png"):
        read_image(found)


def test_a_missing_folder_and_a_file_are_one_line_each(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^not a folder of images; in .*nowhere; got nothing there"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"a\.png; got a file; want an existing folder$"):
        list_images(saved(tmp_path, Image.new("RGB", (2, 2))))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    assert pixels(saved(tmp_path, image)) == [[RED, WHITE, [127, 127, 127]]]


def test_grey_transparency_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("LA", (2, 1), (0, 255))
    image.putpixel((1, 0), (0, 0))
    assert pixels(saved(tmp_path, image)) == [[BLACK, WHITE]]


@pytest.mark.parametrize("transparent", [0, b"\x00\xff"])
def test_a_palette_is_resolved_with_its_transparency(tmp_path: Path, transparent: int | bytes) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 255, 0, 0])
    image.putpixel((1, 0), 1)
    assert pixels(saved(tmp_path, image, transparency=transparent)) == [[WHITE, RED]]
    assert pixels(saved(tmp_path, image)) == [[[9, 9, 9], RED]]


def test_a_transparent_colour_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 9))
    assert pixels(saved(tmp_path, image, transparency=(0, 0, 9))) == [[RED, WHITE]]


def test_sixteen_bits_are_reduced_to_their_high_byte(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 0x80FF, 0xFFFF]], dtype=np.uint16))
    expected = [[BLACK, [128] * 3, WHITE]]
    assert pixels(saved(tmp_path, image)) == expected
    assert pixels(saved(tmp_path, image, "a.tif")) == expected
    (tmp_path / "a.pgm").write_bytes(b"P5 3 1 65535\n\x00\x00\x80\xff\xff\xff")
    assert pixels(tmp_path / "a.pgm") == expected


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_range_are_refused(tmp_path: Path, kind: type) -> None:
    image = Image.fromarray(np.array([[0, 70_000]], dtype=kind))
    with pytest.raises(DataError, match="pixels have no stated range"):
        read_image(saved(tmp_path, image, "a.tif"))


def test_grey_one_bit_and_cmyk_become_rgb(tmp_path: Path) -> None:
    assert pixels(saved(tmp_path, Image.new("L", (1, 1), 7))) == [[[7, 7, 7]]]
    assert pixels(saved(tmp_path, Image.new("1", (1, 1), 1))) == [[WHITE]]
    assert pixels(saved(tmp_path, Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "a.tif")) == [[RED]]


def test_the_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    for name in ("a.gif", "a.png", "a.webp"):
        path = saved(tmp_path, first, name, save_all=True, append_images=[second], lossless=True)
        assert pixels(path) == [[RED] * 2] * 2


def test_the_stored_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (2, 1), "red")
    image.putpixel((1, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x112] = 6  # the top of the picture is at the right of the stored rows
    assert pixels(saved(tmp_path, image, exif=exif)) == [[RED], [BLACK]]


def truncated(folder: Path, name: str = "cut.png") -> Path:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    path = saved(folder, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[:700])
    return path


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg", "cut.webp", "cut.bmp", "cut.tif"])
def test_a_truncated_image_is_one_line_with_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"^the image cannot be read; in .*{name}; got .*Replace or remove"):
        read_image(truncated(tmp_path, name))


def test_a_file_that_is_no_image_is_one_line_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("<html>not found</html>", encoding="utf-8")
    with pytest.raises(DataError, match=r"in .*a\.jpg; got UnidentifiedImageError") as error:
        read_image(tmp_path / "a.jpg")
    assert "\n" not in str(error.value)


def test_all_broken_images_are_one_error_that_names_the_first(tmp_path: Path) -> None:
    good = saved(tmp_path, Image.new("RGB", (2, 2)))
    (tmp_path / "empty.png").touch()
    cut = truncated(tmp_path)
    with pytest.raises(DataError, match=r"^2 of 3 images are broken; first: .*cut\.png") as error:
        verify_images([good, cut, tmp_path / "empty.png"])
    assert "empty" not in str(error.value)
    verify_images([good])


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a.png") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(DataError, match=r"the file cannot be read; in .*b\.png; got No such file"):
        file_sha256(tmp_path / "b.png")


def test_images_are_embedded_in_batches_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replication_bench.data.images.BATCH", 2)
    sizes = []

    def embed(images: object) -> np.ndarray:
        sizes.append(len(images))  # type: ignore[arg-type]
        return np.array([image.getpixel((0, 0))[:1] for image in images], dtype=np.float32)  # type: ignore[attr-defined]

    loaders = [lambda value=value: Image.new("RGB", (1, 1), (value, 0, 0)) for value in range(5)]
    assert embedded(loaders, embed)[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert sizes == [2, 2, 1]


def test_without_an_embedder_every_hash_is_a_group() -> None:
    assert duplicate_groups({"b": io.BytesIO, "a": io.BytesIO}, None, 0.75) == [["a"], ["b"]]  # type: ignore[dict-item]


@given(st.lists(st.lists(st.text("abcdef", min_size=8, max_size=8), min_size=1), min_size=2, unique_by=str))
def test_whole_groups_are_chosen_whatever_their_order(groups: list[list[str]]) -> None:
    chosen = choose_groups(groups, 0.2)
    assert chosen == choose_groups([group[::-1] for group in groups[::-1]], 0.2)
    whole = [group for group in groups if chosen.issuperset(group)]
    assert len(whole) >= max(1, round(0.2 * len(groups)))


def test_a_fifth_of_the_groups_is_chosen() -> None:
    assert len(choose_groups([[f"{i:064x}"] for i in range(100)], 0.2)) == 20
    assert len(choose_groups([["a"], ["b"]], 0.2)) == 1
