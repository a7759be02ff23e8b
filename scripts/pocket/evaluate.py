"""How good a measuring instrument the packed backbone is: its round trip, and a sheet of what it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from replication_bench.backbone import Backbone, to_images
from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.data.openmoji import OpenMoji
from replication_bench.data.stamps import Stamps
from replication_bench.denoiser import UNetDenoiser
from replication_bench.embedders.sscd_onnx import Sscd
from replication_bench.method import Context, Method
from replication_bench.sampling import Sample, Sampler
from replication_bench.seeds import Seeds

HELDOUT = 128
SHEET = (8, 6)  # columns, rows


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = np.square(np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)).mean()
    return float(10 * np.log10(255**2 / error))


def round_trip(backbone: Backbone, examples: Examples) -> tuple[float, float]:
    """Median SSCD and mean PSNR of images and their VAE round trip."""
    images = [example.load() for example in examples][:HELDOUT]
    seen = [to_images(backbone.to_tensor(image)[None])[0] for image in images]
    decoded, sscd = backbone.round_trip(images), Sscd()
    similarity = (sscd(seen) * sscd(decoded)).sum(1)
    return float(np.median(similarity)), float(
        np.mean([psnr(*pair) for pair in zip(seen, decoded, strict=True)])
    )


def sheet(backbone: Backbone, folder: Path, out: Path) -> None:
    """Draw every 26th public caption, with the caption under each image."""
    columns, rows = SHEET
    public = OpenMoji().load().public
    captions = [public[i].captions[0] for i in range(0, len(public), len(public) // (columns * rows))]
    samples = [Sample(i, caption) for i, caption in enumerate(captions[: columns * rows])]
    config = SampleConfig(steps=50)
    ctx = Context(backbone, TrainConfig(), config)
    Sampler(Method(), UNetDenoiser(backbone.unet), ctx, config, Seeds(0)).run(
        samples, folder, lambda done: None
    )
    side, line = backbone.pixels * 2, 14
    canvas = Image.new("RGB", (columns * (side + 8), rows * (side + line + 8)), "white")
    pen = ImageDraw.Draw(canvas)
    for sample in samples:
        x, y = sample.index % columns * (side + 8), sample.index // columns * (side + line + 8)
        with Image.open(folder / f"{sample.id}.png") as image:
            canvas.paste(image.resize((side, side), Image.Resampling.LANCZOS), (x + 4, y + 4))
        pen.text((x + 6, y + side + 5), sample.caption[:22], fill="black")
    canvas.save(out, optimize=True)


def evaluate(folder: Path, work: Path, out: Path) -> None:
    """Print the round trip of both embedded sets and draw the sheet of base samples."""
    backbone = Backbone.load(str(folder))
    for name, dataset in (("openmoji", OpenMoji()), ("stamps", Stamps())):
        similarity, ratio = round_trip(backbone, dataset.load().heldout)
        print(f"{name}: SSCD {similarity:.3f}, PSNR {ratio:.1f} dB", flush=True)
    with torch.no_grad():
        sheet(backbone, work / "sheet", out)
