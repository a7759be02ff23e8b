"""From the authors' pair of checkpoints to a folder that stock diffusers loads and replbench samples and measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loyal.checkpoint import find_weights, load_front, load_tail
from loyal.routed_unet import RoutedUNet
from loyal.skips import CONFIG_KEY
from replication_bench.backbone import Backbone
from replication_bench.config import SampleConfig
from replication_bench.errors import ConfigError
from replication_bench.export.card import Card, shown
from replication_bench.export.component import Component, carried
from replication_bench.export.folder import Contents, check_target, write_export
from replication_bench.ranges import integer
from replication_bench.sampling import new_scheduler

# sample_loyaldiffusion_sd21.py of HowardLi0816/LoyalDiffusion; the guidance scale is diffusers' default there
SAMPLE = SampleConfig(steps=50, guidance_scale=7.5, scheduler="dpm++")
ORIGIN = (
    "Two checkpoints in the layout of HowardLi0816/LoyalDiffusion, `checkpoint_front` for timesteps below {tau} and "
    "`checkpoint_tail` for the others. The threshold stands in no file of theirs: it was given. {blocks} VAE, text "
    "encoder, tokenizer and noise schedule are those of {base}."
)
TRAINED = "The tail's transfer blocks, on {skips}, are the trained ones."
DRAWN = (
    "The tail's checkpoint holds no transfer blocks. Those on {skips} were drawn with seed {seed}, as the research "
    "code draws them anew in every process: other draws give other images."
)
PLAIN = "The tail is a plain U-Net without transfer blocks."
UNMEASURED = (
    "Nothing: this folder was imported. `replbench run --method none --from FOLDER --dataset ...` samples and "
    "measures it."
)


@dataclass(frozen=True)
class Pair:
    """What to import.

    Attributes:
        front: the checkpoint of the clean timesteps.
        tail: the checkpoint of the noisy timesteps.
        base: name, folder or hub id of the pipeline for all other parts; empty for the front checkpoint itself.
        tau: the first timestep of the tail.
        redraw: see ``load_tail``.
        seed: see ``load_tail``.
        precision: of the stored weights.

    Raises:
        ConfigError: ``tau`` is not a positive integer.
    """

    front: Path
    tail: Path
    base: str = ""
    tau: int = 500
    redraw: str = ""
    seed: int = 0
    precision: str = "fp32"

    def __post_init__(self) -> None:
        integer("tau", self.tau, 1)


def blocks_of(pair: Pair, tail: Any) -> str:
    """What the card says of the tail's transfer blocks."""
    if CONFIG_KEY not in tail.config:
        return PLAIN
    skips = ", ".join(tail.config[CONFIG_KEY]["skips"])
    return (DRAWN if pair.redraw else TRAINED).format(skips=skips, seed=pair.seed)


def card_of(pair: Pair, backbone: Backbone, component: Component, tail: Any) -> Card:
    """The card of an imported pair."""
    base = pair.base or str(pair.front)
    origin = ORIGIN.format(tau=pair.tau, blocks=blocks_of(pair, tail), base=shown(base))
    return Card(
        title="LoyalDiffusion, imported",
        component=component,
        precision=pair.precision,
        pixels=backbone.pixels,
        sample=SAMPLE,
        base=base,
        tags=("loyal",),
        sections=(("Where it comes from", origin), ("Measured", UNMEASURED)),
    )


def import_pair(pair: Pair, to: Path) -> Component:
    """Convert, and write the folder ``to``.

    Raises:
        ConfigError: a threshold without tail, or an unknown precision.
        WeightsError: checkpoints or base that cannot be read or do not fit each other.
        StoreError: ``to`` holds something else.
    """
    check_target(to, pair.precision)
    for checkpoint in (pair.front, pair.tail):
        find_weights(checkpoint)
    backbone = Backbone.load(pair.base or str(pair.front))
    if pair.tau >= backbone.num_timesteps:
        raise ConfigError("the tail is empty", where="tau", got=pair.tau, want=f"< {backbone.num_timesteps}")
    front = load_front(pair.front, backbone.unet)
    tail = load_tail(pair.tail, backbone.unet, pair.redraw, pair.seed)
    component = carried(RoutedUNet.of([front, tail], (0, pair.tau)), "loyal")
    contents = Contents(
        backbone=backbone,
        component=component,
        scheduler=new_scheduler(backbone, SAMPLE),
        precision=pair.precision,
        facts={"method": "loyal", "run": None, "tau": pair.tau},
        card=card_of(pair, backbone, component, tail).text,
    )
    write_export(to, contents)
    return component
