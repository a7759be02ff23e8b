#!/usr/bin/env python3
"""Build the image-text model ``pocket-clip`` from the public drawings; see docs/embedders.md.

python scripts/build_clip.py prepare                      drawings, phrases and first weights into one .npz
python scripts/build_clip.py train --images 400000        needs torch, numpy, safetensors, open_clip and the .npz
python scripts/build_clip.py train --validate             a tenth of the drawings is kept back and measured
python scripts/build_clip.py pack                         into the package, fp16
python scripts/build_clip.py evaluate                     retrieval on held-out drawings and stamps
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("prepare", "train", "pack", "evaluate"))
    parser.add_argument("--images", type=int, default=400_000, help="pictures shown in training")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="keep a tenth of the drawings back")
    parser.add_argument("--work", type=Path, default=ROOT / "pocket-build" / "clip")
    parser.add_argument("--out", type=Path, default=ROOT / "replication_bench" / "embedders" / "pocket_clip")
    options = parser.parse_args()
    if options.stage == "prepare":
        from clip import prepare

        prepare.prepare(options.work, options.seed)
    elif options.stage == "train":
        from clip import train

        train.train(options.work, options.images, options.device, options.seed, options.validate)
    elif options.stage == "pack":
        from clip import pack

        pack.pack(options.work, options.out)
    else:
        from clip import evaluate

        evaluate.evaluate(options.out)


if __name__ == "__main__":
    main()
