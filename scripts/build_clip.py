#!/usr/bin/env python3
"""Build the image-text model ``pocket-clip`` from the public drawings; see docs/embedders.md.

python scripts/build_clip.py prepare                      drawings, phrases and first weights into one .npz
python scripts/build_clip.py text                          the text tower, in phrases seen
python scripts/build_clip.py image                         the image tower, in pictures seen
python scripts/build_clip.py image --validate             a tenth of the drawings is kept back and measured
python scripts/build_clip.py pack                         into the package, fp16
python scripts/build_clip.py evaluate                     retrieval on held-out drawings and stamps

The two towers need torch, numpy, safetensors, open_clip and the .npz alone. To go on after an interruption, run the
same command.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUDGETS = {"text": 240_000, "image": 38_400}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("prepare", "text", "image", "pack", "evaluate"))
    parser.add_argument("--budget", type=int, help=f"phrases or pictures seen in training, {BUDGETS}")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validate", action="store_true", help="keep a tenth of the drawings back")
    parser.add_argument("--work", type=Path, default=ROOT / "pocket-build" / "clip")
    parser.add_argument("--out", type=Path, default=ROOT / "replication_bench" / "embedders" / "pocket_clip")
    options = parser.parse_args()
    if options.stage == "prepare":
        from clip import prepare

        prepare.prepare(options.work, options.seed)
    elif options.stage in BUDGETS:
        from clip import train

        budget = options.budget or BUDGETS[options.stage]
        train.train(options.work, options.stage, budget, options.device, options.seed, options.validate)
    elif options.stage == "pack":
        from clip import pack

        pack.pack(options.work, options.out)
    else:
        from clip import evaluate

        evaluate.evaluate()


if __name__ == "__main__":
    main()
