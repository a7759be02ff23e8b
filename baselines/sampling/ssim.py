"""Structural similarity of small tensors (Wang et al. 2004; several scales: Wang, Simoncelli and Bovik 2003)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

KERNEL = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2
WEIGHTS = (0.33, 0.33, 0.33)


def window(size: int, like: Tensor) -> Tensor:
    """A normalised Gaussian, float [channels, 1, size, size], for a convolution of each channel alone."""
    steps = torch.arange(size, device=like.device, dtype=like.dtype) - (size - 1) / 2
    line = torch.exp(-steps.square() / (2 * SIGMA**2))
    square = torch.outer(line, line) / line.sum() ** 2
    return square.expand(like.shape[1], 1, size, size)


def terms(left: Tensor, right: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Mean SSIM and mean contrast-structure term of each row, each float [n]; windows that lie inside only."""

    def smooth(values: Tensor) -> Tensor:
        return functional.conv2d(values, kernel, groups=values.shape[1])

    a, b = smooth(left), smooth(right)
    variances = smooth(left * left) - a * a + smooth(right * right) - b * b
    contrast = (2 * (smooth(left * right) - a * b) + C2) / (variances + C2)
    brightness = (2 * a * b + C1) / (a * a + b * b + C1)
    return (brightness * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def ssim(left: Tensor, right: Tensor) -> Tensor:
    """Multi-scale SSIM of tensors with values in [0, 1], float [n, c, h, w] each -> float [n].

    Three scales of equal weight, negative terms as 0, as NeMo uses it. Below 44 pixels three windows of 11 do not
    fit and the only scale is the first, with the largest odd window up to 11.
    """
    side = min(left.shape[-2:])
    if side < 4 * KERNEL:
        size = min(KERNEL, side - 1 + side % 2)
        return terms(left, right, window(size, left))[0]
    values, kernel = [], window(KERNEL, left)
    for scale in range(len(WEIGHTS)):
        whole, contrast = terms(left, right, kernel)
        values.append(whole if scale == len(WEIGHTS) - 1 else contrast)
        left, right = functional.avg_pool2d(left, 2), functional.avg_pool2d(right, 2)
    weights = torch.tensor(WEIGHTS, device=left.device)
    return (torch.stack(values, 1).clamp(min=0) ** weights).prod(1)
