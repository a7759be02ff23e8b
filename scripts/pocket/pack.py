"""Pack the trained parts into one diffusers folder, fp16 safetensors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer


def clean_config(path: Path) -> None:
    """Take out of a part's configuration what only holds here: its folder, and half precision as what to load it in.

    transformers would load the text encoder in the precision of its configuration, diffusers loads the rest in float32.
    """
    config = json.loads(path.read_text(encoding="utf-8"))
    config.pop("_name_or_path", None)
    if "dtype" in config:
        config["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def pack(work: Path, out: Path) -> None:
    """Write the pipeline folder ``out`` from the parts in ``work``; a card written by hand stays."""
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(work / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(work / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(work / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(work / "unet"),
        scheduler=DDPMScheduler.from_pretrained(work / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for part in ("vae", "text_encoder", "unet", "tokenizer", "scheduler"):
        shutil.rmtree(out / part, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(out)
    for path in out.glob("*/config.json"):
        clean_config(path)
    for path in out.rglob("*.safetensors"):
        path.chmod(0o644)  # safetensors writes 0600
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 2**20:.1f} MiB")
