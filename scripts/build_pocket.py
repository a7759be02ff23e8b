#!/usr/bin/env python3
"""Build the backbone ``pocket`` from the public drawings and made scenes; see docs/pocket.md.

python scripts/build_pocket.py vae --images 1200000
python scripts/build_pocket.py unet --images 900000
python scripts/build_pocket.py decoder --images 1100000     better pixels for the same latents
python scripts/build_pocket.py pack
python scripts/build_pocket.py evaluate     round trip of held-out images; docs/pocket-samples.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from pocket.job import Job

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("vae", "unet", "decoder", "pack", "evaluate"))
    parser.add_argument("--images", type=int, default=1_200_000, help="images seen in training")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work", type=Path, default=ROOT / "pocket-build")
    parser.add_argument("--out", type=Path, default=ROOT / "replication_bench" / "backbones" / "pocket")
    options = parser.parse_args()
    job = Job(options.images, options.batch, torch.device(options.device))
    if options.stage in ("vae", "decoder"):
        from pocket import vae

        vae.train(options.work / "vae", job, decoder_only=options.stage == "decoder")
    elif options.stage == "unet":
        from pocket import unet

        unet.train(options.work, job)
    elif options.stage == "evaluate":
        from pocket import evaluate

        evaluate.evaluate(options.out, options.work, ROOT / "docs" / "pocket-samples.png")
    else:
        from pocket import pack

        pack.pack(options.work, options.out)


if __name__ == "__main__":
    main()
