from __future__ import annotations

import numpy as np
import pytest
from made import line, measured

from replication_bench.metrics import tiles
from replication_bench.metrics.local import METRICS, labels
from replication_bench.metrics.tiles import carlini_ratio, closest


def textures(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(np.repeat(rng.integers(0, 255, (n, 16, 16, 3)), 4, 1), 4, 2).astype(np.uint8)


def test_carlini_s_ratio_in_closed_form() -> None:
    distances = np.array([[1.0, 2, 3, 100], [0, 0, 0, 0], [5, 5, 5, 5], [0, 4, 4, 9]], np.float32)
    assert carlini_ratio(distances, n=3) == pytest.approx([1 / (0.5 * 2), 0, 2, 0])


def test_pixels_equal_a_loop_over_tiles() -> None:
    a, b = textures(3, 0), textures(5, 1)
    found = closest(a, b)

    def cut(image: np.ndarray) -> np.ndarray:
        rows = [image[y : y + 16, x : x + 16] for y in range(0, 64, 16) for x in range(0, 64, 16)]
        return np.stack(rows).reshape(16, -1) / 255

    for i in range(3):
        pairs = [(cut(a[i]), cut(other)) for other in b]
        worst = [np.sqrt(((p - q) ** 2).mean(1)).max() for p, q in pairs]
        best = [
            np.sort([np.corrcoef(x, y)[0, 1] for x, y in zip(p, q, strict=True)])[8:].mean() for p, q in pairs
        ]
        whole = np.array([[np.sqrt(((p - q) ** 2).mean()) for p, q in pairs]])
        assert found.tiled_l2[i] == pytest.approx(min(worst), abs=1e-4)
        assert found.local[i] == pytest.approx(max(best), abs=1e-4)
        assert found.source[i] == np.argmax(best)
        assert found.carlini[i] == pytest.approx(carlini_ratio(whole)[0], abs=1e-4)


def test_blocks_and_order_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = textures(7, 0), textures(9, 1)
    want, order = closest(a, b), np.random.default_rng(0).permutation(9)
    monkeypatch.setattr(tiles, "ROWS", 2)
    monkeypatch.setattr(tiles, "COLUMNS", 4)
    found = closest(a, b[order])
    for name in ("carlini", "tiled_l2", "local"):
        assert getattr(found, name) == pytest.approx(getattr(want, name), abs=1e-5)
    assert (order[found.source] == want.source).all()


def test_agreement_of_blank_backgrounds_is_no_similarity() -> None:
    a, b = np.full((1, 64, 64, 3), 255, np.uint8), np.full((1, 64, 64, 3), 255, np.uint8)
    a[:, :16, :16], b[:, :16, :16] = textures(1, 0)[:, :16, :16], textures(1, 1)[:, :16, :16]
    # a trace of noise, the same in both, as a decoder leaves it
    noise = np.random.default_rng(2).integers(0, 2, a.shape).astype(np.uint8)
    a, b = a - noise, b - noise
    assert closest(a, b).local[0] < 0.2
    assert closest(a, a).local[0] == pytest.approx(1 / 8, abs=1e-3)


def planted() -> tuple[np.ndarray, np.ndarray]:
    """A copy, an image that keeps half of a training image, and an unrelated one; with 60 training images."""
    train, other = textures(60, 0), textures(3, 1)
    template = train[20].copy()
    template[:, 32:] = other[0][:, 32:]
    return np.stack([train[7], template, other[1]]), train


def test_a_template_copy_that_the_whole_image_score_misses_is_labelled() -> None:
    images, train = planted()
    found = closest(images, train)
    assert found.source[:2].tolist() == [7, 20]
    floor = closest(textures(40, 2), train)
    evidence = line(
        top1=np.array([0.99, 0.25, 0.2], np.float32),
        nearest=np.zeros(3, np.int64),
        floor=np.linspace(0, 0.4, 40, dtype=np.float32),
        local=found.local,
        local_floor=floor.local,
        carlini=found.carlini,
        tiled_l2=found.tiled_l2,
    )
    assert list(labels(evidence)) == ["exact", "template", "none"]
    shares = measured(METRICS, evidence)
    assert shares["template_share"].value == pytest.approx(1 / 3)
    assert "whole image above 0.750 (0.75 (published for SSCD disc_mixup at" in str(
        shares["template_share"].note
    )
    assert shares["tiled_l2_lt_015"].value == pytest.approx(1 / 3)
    assert found.carlini[0] < 0.1 < found.carlini[2]


def test_without_pixels_there_is_a_reason() -> None:
    found = measured(METRICS, line(), 0)
    assert {m.reason for name, m in found.items() if name != "exact_share"} == {
        "no pixels were given, only vectors"
    }


def test_copies_as_a_whole_are_told_without_pixels() -> None:
    found = measured(METRICS, line(top1=np.repeat(np.array([0.9, 0.1], np.float32), [25, 76])))
    assert found["exact_share"].value == pytest.approx(25 / 101)
    assert "tiles" not in found["exact_share"].note
    assert found["template_share"].reason == "no pixels were given, only vectors"
