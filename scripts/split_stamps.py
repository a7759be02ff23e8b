#!/usr/bin/env python3
"""Choose the private and held-out stamps and write replication_bench/data/stamps_split.json."""

from __future__ import annotations

from splitting import write_split

from replication_bench.data import stamps
from replication_bench.embedders.sscd_onnx import Sscd

TRAIN, HELDOUT = 192, 192
SOURCE = "tuxpaint-stamps-default 2022.06.04, 64 px on white, sscd-128"


def main() -> None:
    catalog = stamps.catalog()
    vectors = Sscd()([stamps.fitted(stamp.path) for stamp in catalog.values()])
    write_split("stamps", SOURCE, list(catalog), vectors @ vectors.T, TRAIN, HELDOUT)


if __name__ == "__main__":
    main()
