"""Numbers of several methods that one paper measured."""

from __future__ import annotations

from replication_bench.method import Reported

JAIN = "arXiv 2411.16738, through a secondary source"
FINE_TUNED = "SD 2.1 fine-tuned on LAION-10k, DPM-Solver++ 50 steps, CFG 7.5"


def run_by_jain(value: float) -> tuple[Reported, ...]:
    """The similarity that Jain et al. measured with another group's mitigation on their fine-tuned model."""
    return (
        Reported(
            claim="95th percentile of the similarity, from 0.6504 without mitigation",
            value=value,
            unit="SSCD cosine",
            protocol=f"{FINE_TUNED}, run by Jain et al.",
            source=JAIN,
        ),
    )
