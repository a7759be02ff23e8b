#!/usr/bin/env python3
"""Write the texts of a tokenizer's ids below LIMIT, one a line: the pool that DCR's random tokens are drawn from.

Usage: scripts/token_pool.py BACKBONE OUT, then --set methods.rc.words=OUT.
"""

from __future__ import annotations

import sys
from pathlib import Path

from replication_bench.backbone import Backbone

LIMIT = 49_400  # somepago/DCR datasets.py


def main(backbone: str, out: str) -> None:
    tokenizer = Backbone.load(backbone).tokenizer
    special = set(tokenizer.all_special_ids)
    ids = [id for id in range(min(LIMIT, len(tokenizer))) if id not in special]
    texts = [" ".join(tokenizer.decode([id]).split()) for id in ids]
    kept = [text for text in texts if text]
    Path(out).write_text("\n".join(kept) + "\n", encoding="utf-8")
    print(f"{len(kept)} of {len(ids)} ids -> {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
