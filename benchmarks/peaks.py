"""The printed peaks of GPUs."""

from __future__ import annotations

import re

import torch

# Dense bf16 with sums in fp32, TFLOP/s, from NVIDIA's data sheets (which print twice as much where sparsity is meant).
PEAKS = {
    r"H200": 989,
    r"H200 NVL": 835,
    r"H100 80GB HBM3": 989,
    r"H100 SXM5?.*": 989,
    r"H100 PCIe": 756,
    r"H100 NVL": 835,
    r"A100(-SXM4|-PCIE|-PCIe)?(-\d+GB| \d+GB PCIe)?": 312,
    r"L40S": 362,
    r"L40": 181,
    r"L4": 121,
    r"A10": 125,
    r"GeForce RTX 4090": 165,
}


def peak_named(name: str) -> float | None:
    """FLOP/s of the GPU that PyTorch calls ``name``; None where the table has none: a part of one (MIG) has none."""
    model = name.removeprefix("NVIDIA ").strip()
    return next((peak * 1e12 for known, peak in PEAKS.items() if re.fullmatch(known, model)), None)


def peak_of(device: torch.device) -> float | None:
    """FLOP/s of a device; None for a CPU and where the table has none."""
    return peak_named(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
