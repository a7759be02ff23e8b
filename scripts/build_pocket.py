#!/usr/bin/env python3
"""Build the backbone ``pocket`` from the public drawings and made scenes; see docs/pocket.md.

python scripts/build_pocket.py vae --seconds 1560
python scripts/build_pocket.py unet --seconds 1500       again to go on from where it ended
python scripts/build_pocket.py decoder --seconds 480     better pixels for the same latents
python scripts/build_pocket.py pack
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stage", choices=("vae", "unet", "decoder", "pack"))
    parser.add_argument("--seconds", type=float, default=1500)
    parser.add_argument("--work", type=Path, default=ROOT / "pocket-build")
    parser.add_argument("--out", type=Path, default=ROOT / "replication_bench" / "backbones" / "pocket")
    options = parser.parse_args()
    if options.stage == "vae":
        from pocket import vae

        vae.train(options.work / "vae", options.seconds)
    elif options.stage == "decoder":
        from pocket import vae

        vae.train(options.work / "vae", options.seconds, decoder_only=True)
    elif options.stage == "unet":
        from pocket import unet

        unet.train(options.work, options.seconds)
    else:
        from pocket import pack

        pack.pack(options.work, options.out)


if __name__ == "__main__":
    main()
