"""The page docs/metrics.md, written from the metrics themselves.

``python -m replication_bench.metrics.page > docs/metrics.md``
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby

from replication_bench.metrics.metric import Metric

TITLES = {
    "replication": "How much is copied",
    "copies": "Which images are copied",
    "local": "Copies in the pixels",
    "complexity": "What kind of images are copied",
    "fidelity": "Distances between distributions",
    "coverage": "Quality and variety of single images",
    "memorization": "Tests against held-out images",
    "alignment": "Words, and likeness in CLIP's eyes",
}
BETTER = {"up": "up", "down": "down", "zero": "towards 0", "reference": "none, a reference"}
INTERVALS = {
    "bootstrap": "bootstrap over the images of every set; over prompts where images share one",
    "wilson": "Wilson; joined with a bootstrap over prompts where images share one",
    None: "none",
}
OWN = {
    "sim_gt_calibrated": "bootstrap over generated and held-out images, never narrower than Wilson's",
    "excess_calibrated": "bootstrap over generated and held-out images, never narrower than Wilson's of the generated",
    "density": "bootstrap over generated images",
    "vendi": "delta method",
    "mifd_train": "that of the distance, where the penalty does not act",
    "mifid_train": "that of the distance, where the penalty does not act",
    "c_t": "bootstrap over generated and held-out images, the training images and their cells fixed",
    "fld": "normal, over the held-out images, both fits fixed",
    "fld_gap": "normal, over held-out and training images, the fit fixed",
}
WITHOUT: dict[tuple[str, ...], str] = {
    ("cc_ent_p", "cc_comp_p", "cc_tvl_p", "cc_mixed_p", "cc_dup_p"): (
        "p-values, which tell the uncertainty of the r beside them"
    ),
    ("train_repeated",): "a count over all training images, of which no sample was taken",
    (
        *("distinct_copied", "copied_images", "copied_images_calibrated", "copies_each"),
        *("copies_each_calibrated", "copies_most", "copies_most_calibrated"),
    ): "counts of different images: one that was not drawn cannot be drawn again, so a bootstrap counts too few",
    ("copied_jpeg_ratio", "copied_entropy_ratio"): (
        "ratios over the copied images, which are few and counted like the above: read n, their number"
    ),
}
SOMETIMES = """- `fid_heldout`, `fid_train`, `fid_gap` where a set has 2048 images or fewer: the delta method needs more
  than Inception has features.
- `mifd_train`, `mifid_train` where their penalty acts: a distance divided by a mean of nearest neighbours, for whose
  joint spread we know no formula. Elsewhere they equal fd_train and fid_train, intervals included.
- `copy_threshold` and `copied_groups`, which an audit adds: a rule, whose note states its rates, and a count.
- Whatever is bootstrapped, where no draws were asked for (`measure.bootstrap=0`)."""
HEAD = """# Metrics

This page is written by `python -m replication_bench.metrics.page > docs/metrics.md` from the declarations in
`replication_bench/metrics/`; reports show the same text behind each name. Change it there.

**Words.** `g`, `t`, `p` are generated, training and held-out images; `<a, b>` is the cosine of their vectors; `d(a, b)`
their Euclidean distance. Shares are fractions in [0, 1]. Percentiles interpolate linearly. Threshold tests are strict.

**Missing is not 0.** A number that cannot be computed is `null` with a reason. 0 is a value, and often the ideal one.

**Whose space.** Numbers are taken in the space of the run's embedder. A metric that needs another one (FID: Inception,
CMMD: CLIP) is missing until that embedder is used. Metrics marked *everywhere* are also taken in the space of every
further embedder, as `name:embedder`. Vectors of unlike protocols are never compared.

**Features of your own.** `replbench score` takes cosines on rows brought to length 1, and distances between
distributions on the features as they are.

**Intervals.** The percentile bootstrap draws images with replacement; images of one prompt are drawn together. A
statistic of nearest neighbours is not resampled on both sides, since a row drawn twice is its own neighbour at distance
0: its interval takes the other set as fixed. A kernel distance drops the pairs of a row with its own copy, and of two
drawn copies of one prompt. The delta method gives the spread of a distance to first order, not its bias; it sums the
influences of the images of one prompt. Where all images are of one prompt, such distances have no interval.

**Several seeds.** `replbench leaderboard RUNS... --format json` (or `csv`) holds the mean over seeds of every number
here with its interval, also where a single run has none: the wider of Student's over the seeds and of what the runs'
own intervals say ([report.md](report.md)). Seeds are not bootstrapped: of two or three, a draw often holds one seed
alone, and the interval comes out too narrow.

{without}

**Two methods on the same prompts and noise** are compared image by image: `replbench compare RUN_A RUN_B` prints the
difference of means, of R and of shares, its bootstrap interval over pairs, the p-value of swapping the methods within
pairs, and how many images turned from copy to original and back (exact McNemar test).

**Fewer than 2048 images** leave a Frechet distance biased upward. It is then marked `low_n`, and the kernel distance
stands beside it.
"""


def without_interval() -> str:
    """Which numbers have no interval, and why."""
    names = (", ".join(f"`{name}`" for name in family) for family in WITHOUT)
    lines = [f"- {text}: {why}." for text, why in zip(names, WITHOUT.values(), strict=True)]
    return "\n".join(["**Without an interval** are:", "", *lines, SOMETIMES])


def interval_text(metric: Metric) -> str:
    """What kind of interval a metric has."""
    if metric.interval != "own":
        return INTERVALS[metric.interval]
    kernel = (
        "bootstrap over the rows of both sets, a row's own copies left out; beyond 4096 x 4096 rows the standard error "
        "of a two-sample U-statistic"
    )
    delta = "delta method where both sets have more rows than features"
    return OWN.get(metric.name, delta if metric.unit == "squared distance" else kernel)


def distinct(values: Iterable[str]) -> str:
    """Different values in order, joined."""
    return "; ".join(dict.fromkeys(values))


def family_text(metrics: Sequence[Metric]) -> str:
    """One section: names, paragraph, formula and facts of metrics that share their text."""
    first = metrics[0]
    marked = [m.name for m in metrics if m.everywhere]
    facts = {
        "formula": f"`{first.formula}`",
        "unit": distinct(m.unit for m in metrics),
        "range": first.span,
        "better": distinct(BETTER[m.better] for m in metrics),
        "interval": distinct(map(interval_text, metrics)),
        "source": distinct(m.source for m in metrics),
        "space": distinct(f"embedder `{m.role}`" for m in metrics if m.role),
        "everywhere": ", ".join(f"`{name}`" for name in marked),
        "trap": first.trap,
    }
    lines = [f"- *{name}*: {text}" for name, text in facts.items() if text]
    return "\n".join([f"### {', '.join(f'`{m.name}`' for m in metrics)}", "", first.about, "", *lines, ""])


def group_text(name: str, metrics: Sequence[Metric]) -> str:
    """One door's metrics."""
    families = [list(members) for _, members in groupby(metrics, key=lambda m: (m.about, m.formula))]
    return "\n".join([f"## {TITLES.get(name, name)}", "", *map(family_text, families)])


def page() -> str:
    """The whole page."""
    from importlib import import_module

    modules = {name: import_module(f"replication_bench.metrics.{name}") for name in TITLES}
    head = HEAD.format(without=without_interval())
    groups = (group_text(name, module.METRICS) for name, module in modules.items())
    return "\n".join([head, *groups]).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
