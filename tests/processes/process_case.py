"""A small run that the tests of several processes launch; as a script, what each process does of it.

``python -m torch.distributed.run ... process_case.py FOLDER PART...``
"""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig, TrainConfig
from replication_bench.data.example import Examples
from replication_bench.denoiser import UNetDenoiser
from replication_bench.method import Context, Encoded, Method, Step
from replication_bench.processes import ALONE, Processes

ROWS = 5  # cut into 2 and 3
STEPS = 5
IMAGES = 3 * ROWS + 1 + ROWS  # the last step of the four, or of the resumed run, has rows for one process alone


class Recording(Method):
    """Plain fine-tuning that keeps what each step has drawn."""

    seen: list[Any] = []  # noqa: RUF012 - of a test

    def loss(self, denoiser: Any, encoded: Encoded, t: Any, noise: Any, ctx: Context) -> Any:
        self.seen.append((t.clone(), noise.clone(), encoded.latents.clone()))
        return super().loss(denoiser, encoded, t, noise, ctx)
