from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from baselines import augment
from baselines.augment import Augment, coloured, cropped, rotated
from replication_bench.testing.case import generator

OFF = {"flip": 0.0, "crop": 0.0, "rotate": 0.0, "colour": 0.0, "hue": 0.0}


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 32, 32, generator=generator(5)) * 2 - 1


def test_all_strengths_at_zero_leave_the_image_alone(image: Tensor) -> None:
    assert torch.equal(Augment(**OFF).image(image, generator()), image)


@pytest.mark.parametrize("part", OFF)
def test_each_strength_acts_alone(part: str, image: Tensor) -> None:
    strong = {"flip": 1.0, "crop": 0.6, "rotate": 45.0, "colour": 0.5, "hue": 0.4}
    changed = Augment(**{**OFF, part: strong[part]}).image(image, generator())
    assert changed.shape == image.shape
    assert not torch.equal(changed, image)


def test_equal_generators_draw_equal_images_and_others_do_not(image: Tensor) -> None:
    first, again, other = (Augment().image(image, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_draw_stays_in_range(image: Tensor) -> None:
    method = Augment(flip=0.5, crop=0.9, rotate=180, colour=1.0, hue=0.5)
    drawn = torch.stack([method.image(image, generator(seed)) for seed in range(50)])
    assert drawn.min() >= -1
    assert drawn.max() <= 1 + 1e-6
    assert drawn.isfinite().all()


def test_one_strength_does_not_change_what_the_others_draw(image: Tensor) -> None:
    rngs = [generator(3), generator(3)]
    Augment(**OFF).image(image, rngs[0])
    Augment().image(image, rngs[1])
    assert torch.equal(rngs[0].get_state(), rngs[1].get_state())


def test_flips_come_with_their_probability(image: Tensor) -> None:
    method = Augment(**{**OFF, "flip": 0.3})
    drawn = [method.image(image, generator(seed)) for seed in range(1000)]
    flips = sum(torch.equal(draw, image.flip(-1)) for draw in drawn)
    assert flips + sum(torch.equal(draw, image) for draw in drawn) == 1000
    assert abs(flips - 300) < 4 * math.sqrt(1000 * 0.3 * 0.7)


def test_strengths_are_the_ends_of_what_is_drawn_uniformly(
    image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[tuple[float, ...]]] = {"cropped": [], "rotated": [], "coloured": []}
    for name, calls in seen.items():
        monkeypatch.setattr(augment, name, lambda x, *drawn, calls=calls: (x, calls.append(drawn))[0])
    method = Augment(crop=0.4, rotate=30, colour=0.2, hue=0.1)
    for seed in range(400):
        method.image(image, generator(seed))
    ends = [(0.6, 1), (0, 1), (0, 1), (-30, 30), *[(0.8, 1.2)] * 3, (-0.1, 0.1)]
    columns = zip(
        *(crop + turn + colour for crop, turn, colour in zip(*seen.values(), strict=True)), strict=True
    )
    for column, (low, high) in zip(columns, ends, strict=True):
        assert kstest(column, "uniform", args=(low, high - low)).pvalue > 1e-3


def test_a_crop_is_the_window_it_names() -> None:
    quarters = torch.zeros(3, 32, 32)
    quarters[:, 16:, 16:] = 0.5
    window = cropped(quarters, area=0.25, top=1.0, left=1.0)
    assert torch.allclose(window, torch.full_like(window, 0.5), atol=1e-6)
    assert torch.equal(cropped(quarters, 0.25, 0.0, 0.0), torch.zeros(3, 32, 32))


def test_a_quarter_turn_is_exact_and_corners_hold_no_new_colour(image: Tensor) -> None:
    assert torch.allclose(rotated(image, 90), image.rot90(1, (1, 2)), atol=1e-5)
    white = torch.ones(3, 32, 32)
    assert torch.allclose(rotated(white, 33.0), white, atol=1e-5)


def test_colour_changes_against_their_formulas(image: Tensor) -> None:
    values = (image + 1) / 2
    weights = torch.tensor([0.2989, 0.587, 0.114]).view(3, 1, 1)
    grey = (values * weights).sum(0, keepdim=True)
    want = {
        (0.5, 1, 1, 0): values * 0.5,
        (1, 0.5, 1, 0): 0.5 * values + 0.5 * grey.mean(),
        (1, 1, 0.0, 0): grey.expand(3, -1, -1),
    }
    for factors, expected in want.items():
        assert torch.allclose((coloured(image, *factors) + 1) / 2, expected, atol=1e-3), factors
