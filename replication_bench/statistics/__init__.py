"""Intervals, calibration, comparisons; and metrics turned into measurements."""

from replication_bench.statistics.calibration import (
    Calibration,
    FalsePositives,
    calibrate,
    false_positives,
)
from replication_bench.statistics.intervals import (
    Interval,
    normal_interval,
    percentile_interval,
    student_interval,
    wilson_interval,
)
from replication_bench.statistics.measuring import measure
from replication_bench.statistics.paired import Flips, Paired, flips, paired

__all__ = [
    "Calibration",
    "FalsePositives",
    "Flips",
    "Interval",
    "Paired",
    "calibrate",
    "false_positives",
    "flips",
    "measure",
    "normal_interval",
    "paired",
    "percentile_interval",
    "student_interval",
    "wilson_interval",
]
