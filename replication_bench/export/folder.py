"""The folder that stock diffusers loads: parts, code where the U-Net needs it, card, and a mark that it is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from replication_bench._version import __version__
from replication_bench.backbone import Backbone
from replication_bench.errors import ConfigError, WeightsError, did_you_mean
from replication_bench.export.component import Component
from replication_bench.store import check_replaceable, write_folder, write_json

MARK = "replbench.json"
PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# of float32 predictions from equal weights: kernels differ with the place of the weights in memory
CLOSE = 1e-3


@dataclass(frozen=True)
class Contents:
    """What goes into the folder.

    Attributes:
        backbone: the parts that were not trained.
        component: what stands in the U-Net's place.
        scheduler: a diffusers scheduler.
        precision: of ``PRECISIONS``, of all weights.
        facts: what the mark says of where the model comes from.
        card: the text of README.md for the folder of that name.
    """

    backbone: Backbone
    component: Component
    scheduler: Any
    precision: str
    facts: dict[str, Any]
    card: Callable[[str], str]


def is_export(folder: Path) -> bool:
    """Whether a folder is one that was written here."""
    return (folder / MARK).is_file()


def check_target(to: Path, precision: str) -> None:
    """Refuse what could not be written in the end, before anything is loaded.

    Raises:
        ConfigError: an unknown precision.
        StoreError: the folder holds something else.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"unknown precision '{precision}'", where="--precision", hint=did_you_mean(precision, PRECISIONS)
        )
    check_replaceable(to, is_export)


def write_export(to: Path, contents: Contents) -> None:
    """Write the folder, whole or not at all; an earlier export of that name is replaced.

    Raises:
        StoreError: something else is there, or the disk is full.
        WeightsError: the component does not load again as what it was.
    """

    def write(folder: Path) -> None:
        save_parts(folder, contents)
        save_code(folder, contents.component)
        forget_places(folder)
        check_reload(folder, contents)
        (folder / "README.md").write_text(contents.card(to.resolve().name), encoding="utf-8")
        write_json(folder / MARK, mark_of(contents))

    write_folder(to, write, is_export)


def mark_of(contents: Contents) -> dict[str, Any]:
    """What the mark says."""
    component = contents.component
    return {
        "replbench": __version__,
        "unet": component.kind,
        "trust_remote_code": component.file is not None,
        "precision": contents.precision,
        **contents.facts,
    }


def save_parts(folder: Path, contents: Contents) -> None:
    """All parts through diffusers' own pipeline, as safetensors."""
    from diffusers import StableDiffusionPipeline

    backbone = contents.backbone
    pipeline: Any = StableDiffusionPipeline(
        vae=backbone.vae,
        text_encoder=backbone.text_encoder,
        tokenizer=backbone.tokenizer,
        unet=contents.component.model,
        scheduler=contents.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(PRECISIONS[contents.precision])
    pipeline.save_pretrained(folder)


def save_code(folder: Path, component: Component) -> None:
    """The file that the U-Net's class is in, and its name in the index."""
    if component.file is None or component.source is None:
        return
    (folder / "unet" / f"{component.file}.py").write_text(component.source, encoding="utf-8")
    edit(folder / "model_index.json", lambda index: index.update(unet=[component.file, component.kind]))


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON object in a file of a folder that nobody sees yet."""
    table = json.loads(path.read_text(encoding="utf-8"))
    change(table)
    # infinities stay: schedulers of diffusers have them
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def forget_places(folder: Path) -> None:
    """Remove where parts were loaded from: a published folder says nothing of the machine it was made on."""

    def forget(table: dict[str, Any]) -> None:
        for key in ("_name_or_path", "name_or_path"):
            table.pop(key, None)

    for path in (*folder.glob("*.json"), *folder.glob("*/*config.json")):
        edit(path, forget)


@torch.no_grad()
def check_reload(folder: Path, contents: Contents) -> None:
    """Load the component again and compare it: weights to the bit, and what it predicts.

    Raises:
        WeightsError: something of it is not in the file.
    """
    model = contents.component.model
    loaded, info = type(model).from_pretrained(
        folder / "unet", torch_dtype=PRECISIONS[contents.precision], output_loading_info=True
    )
    before, after = model.state_dict(), loaded.state_dict()
    equal = before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    if not equal or info["missing_keys"] or info["unexpected_keys"]:
        raise WeightsError(
            "the exported U-Net has other weights than the trained one", got=contents.component.kind
        )
    worst = (predict(model.float()) - predict(loaded.float())).abs().max().item()
    if not worst <= CLOSE:
        raise WeightsError(
            "the exported U-Net predicts something else than the trained one",
            got=f"{contents.component.kind}, off by {worst:.2g}",
            want=f"at most {CLOSE:g}",
        )


def predict(unet: Any) -> torch.Tensor:
    """A prediction for small random latents at low and at high timesteps."""
    config, rng = unet.config, torch.Generator().manual_seed(0)
    side, widths = 2 ** (len(config["block_out_channels"]) - 1), config["cross_attention_dim"]
    width = widths if isinstance(widths, int) else widths[0]
    x_t = torch.randn(3, config["in_channels"], side, side, generator=rng)
    cond = torch.randn(3, 4, width, generator=rng)
    t = torch.tensor([1, 501, 951])
    prediction: torch.Tensor = unet(x_t, t, encoder_hidden_states=cond, return_dict=False)[0]
    return prediction
