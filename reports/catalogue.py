"""What each number is called, and a plain explanation of it: ours where we have one, else the metric's own."""

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
    "reduction_floor": "less copying above the floor",
    "reduction_best": "less copying than best data-side",
    "p": "p",
    "budget": "budget",
    "images": "images seen",
    "parameters": "parameters",
    "seconds": "training time",
    "calls": "network calls",
}
# A metric's own text speaks of all its variants at once, and of the one before it; these stand alone behind one name.
ABOUT: Mapping[str, str] = {
    "R": "How close generated images come to training images: the 95th percentile, over all generated images, of the "
    "similarity to the nearest training image; the same as sim_95pc. Read it between the floor, what held-out real "
    "images score, and the ceiling, what a perfect copy scores.",
    "sim_mean": "The mean similarity of a generated image to its nearest training image.",
    "sim_std": "The spread (population standard deviation) of the generated images' similarities to their nearest "
    "training images.",
    "sim_max": "The similarity of the single closest pair of a generated and a training image.",
    "sim_gt_05pc": "The share of generated images whose nearest training image is more similar than 0.5, the usual "
    "threshold in the literature.",
    "sim_gt_075": "The share of generated images whose nearest training image is more similar than 0.75, at which SSCD "
    "mixup has 90 % precision on DISC.",
    "floor_95pc": "What held-out real images score as R: an innocent generator's value.",
    "floor_mean": "The mean similarity of held-out real images to their nearest training images.",
    "floor_gt_05pc": "The share of held-out real images above 0.5: how often that threshold is wrong here.",
    "ceiling_95pc": "What the training images score as R after the backbone's own VAE round trip: a perfect copy's "
    "value.",
    "ceiling_mean": "The mean similarity of training images to themselves after the backbone's own VAE round trip.",
    "kd_heldout": "Quality: how far the generated images as a whole are from held-out real ones in the embedder's "
    "space. A kernel distance, times 1000; it works with a few dozen images, where a Frechet distance does not.",
    "kd_train": "How far the generated images as a whole are from the training images in the embedder's space (a "
    "kernel distance, times 1000). Copying makes it small.",
    "alignment_mean": "How well generated images fit their prompts: the mean cosine between image and prompt, by the "
    "image-text model that the note below the table names. It is a CLIP score only where that model is a CLIP.",
    "alignment_train": "How well training images fit their own captions, by the same image-text model: what real pairs "
    "score.",
    "reduction": "1 - R / R of the reference, on the same prompts and noise. The interval is the wider of two: whole "
    "prompts resampled, and Student's over the seeds.",
    "reduction_floor": "1 - (R - floor) / (R of the reference - floor): the share of the avoidable copying that is "
    "gone, where the floor is what held-out real images score. The interval takes the floor as exact.",
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
    """A plain explanation of the number called ``name``: ours, else the metric's own; empty where there is none."""
    plain, _, embedder = name.partition(":")
    text = ABOUT.get(plain) or own_texts().get(name) or own_texts().get(plain, "")
    return f"In the space of {embedder}: {text}" if embedder and text else text


def title(name: str) -> str:
    """What stands above a column."""
    return TITLES.get(name, name.replace("_", " "))
