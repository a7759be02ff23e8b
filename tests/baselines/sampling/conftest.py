from __future__ import annotations

from pathlib import Path

import pytest

from replication_bench.backbone import Backbone
from replication_bench.testing import load_backbone


@pytest.fixture(scope="session")
def backbone(tiny: Path) -> Backbone:
    return load_backbone(tiny)
