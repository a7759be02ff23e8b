"""What each number is called, and a plain explanation of it: from the metric itself where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from replication_bench import plugins
from replication_bench.errors import PluginError

TITLES: Mapping[str, str] = {
    "R": "R",
    "r_star": "R*",
    "sim_mean": "mean similarity",
    "sim_gt_05pc": "share > 0.5",
    "sim_gt_075": "share > 0.75",
    "sim_gt_calibrated": "share > calibrated",
    "kd_heldout": "kernel distance",
    "clip_score": "text alignment by CLIP",
    "alignment_mean": "text alignment",
    "reduction": "less copying",
    "reduction_floor": "less copying above floor",
    "reduction_best": "less than best data-side",
    "p": "p",
    "budget": "budget",
    "images": "images seen",
    "parameters": "parameters",
    "seconds": "training time",
    "calls": "network calls",
}
ABOUT: Mapping[str, str] = {
    "R": "How close generations come to training images: the 95th percentile, over all generated images, of the "
    "similarity to the nearest training image. 1 is a copy; read it between the floor and the ceiling.",
    "r_star": "R on a scale from 0, what an innocent generator would score (held-out real images), to 1, the training "
    "images after the backbone's own compression.",
    "sim_mean": "The mean similarity of a generated image to its nearest training image.",
    "sim_std": "The spread of these similarities.",
    "sim_max": "The similarity of the single closest copy.",
    "sim_gt_05pc": "The share of generated images whose nearest training image is more similar than 0.5, the usual "
    "threshold in the literature.",
    "sim_gt_075": "The share above 0.75, where the copy detector's authors report 90 % precision.",
    "sim_gt_calibrated": "The share above a threshold that is calibrated on held-out images of this dataset.",
    "distinct_copied": "The share of training images that are the nearest one of a generation above 0.5.",
    "mean_above_floor": "Mean similarity of generated images minus that of held-out real images.",
    "floor_95pc": "What real images that were never trained on score as R: an innocent generator's value.",
    "ceiling_95pc": "What the training images score after the backbone's own compression: a perfect copy's value.",
    "bg_95pc": "How similar training images are to each other, each without itself.",
    "floor_mean": "The mean similarity of held-out real images to their nearest training images.",
    "floor_gt_05pc": "The share of held-out real images above 0.5: how often that threshold is wrong here.",
    "ceiling_mean": "The mean similarity of training images to themselves after the backbone's own compression.",
    "bg_mean": "The mean similarity of a training image to its nearest other one.",
    "threshold": "The calibrated threshold: the highest quantile of held-out similarities that their number supports.",
    "kd_heldout": "Distance between generated and held-out images in the embedder's space (a kernel distance, times "
    "1000). Lower is better; it needs fewer images than a Frechet distance.",
    "kd_train": "The same distance to the training images. A copying generator makes this small.",
    "fd_heldout": "Frechet distance between generated and held-out images in the embedder's space.",
    "fd_train": "Frechet distance between generated and training images.",
    "precision": "The share of generated images that lie among the real ones.",
    "recall": "The share of real images that lie among the generated ones.",
    "density": "How densely real images surround the generated ones.",
    "coverage": "The share of real images with a generated one nearby.",
    "authpct": "The share of generated images that are not closer to a training image than that image's own nearest "
    "neighbour is.",
    "reduction": "1 - R / R of the reference, on the same prompts and noise. The interval is the wider of two: whole "
    "prompts resampled, and Student's over the seeds.",
    "reduction_floor": "The same with the floor taken from both: the share of the avoidable copying that is gone. The "
    "interval takes the floor as exact.",
    "reduction_best": "1 - R / R of the best method on this board that only changes training data or captions, at the "
    "usual budget. That method was picked by its R, which flatters it; the interval does not know.",
    "p": "The chance of a difference to the reference as large as this if there were none: the larger of Wilcoxon's "
    "signed-rank test of the prompts' mean differences and, from two seeds on, Student's test of the seeds' mean "
    "differences; corrected for the number of rows (Holm).",
    "budget": "Images that each run was given for training.",
    "images": "Images seen in training, all stages together.",
    "parameters": "Parameters of all networks that sampling needs.",
    "seconds": "Wall-clock seconds of training.",
    "calls": "Evaluations of the network for one generated image, counted.",
}


@cache
def own_texts() -> dict[str, str]:
    """The ``about`` texts of the installed metrics; a metric group that cannot be imported has none."""
    found: dict[str, str] = {}
    for name in plugins.available("metrics"):
        try:
            metrics = plugins.load("metrics", name)
        except PluginError:
            continue
        found |= {metric.name: getattr(metric, "about", "") for metric in metrics}
    return found


def about(name: str) -> str:
    """A plain explanation of the number called ``name``: the metric's own, else ours; empty where there is none."""
    plain, _, embedder = name.partition(":")
    text = own_texts().get(name) or own_texts().get(plain) or ABOUT.get(plain, "")
    return f"In the space of {embedder}: {text}" if embedder and text else text


def title(name: str) -> str:
    """What stands above a column."""
    return TITLES.get(name, name.replace("_", " "))
