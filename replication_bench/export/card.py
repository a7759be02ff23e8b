"""README.md of an exported folder: a model card with its YAML header, how to load it, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replication_bench._version import __version__
from replication_bench.config import SampleConfig
from replication_bench.export.component import Component

PLAIN = "The U-Net is of diffusers' own class, so the folder loads with no flag, and no code of it is run."
CARRIED = (
    "The U-Net is a `{kind}`, which diffusers does not have. Its code lies in `unet/{file}.py` and needs nothing but "
    "diffusers and what that requires. diffusers runs code out of a folder only with `trust_remote_code=True`: read "
    "the file, then pass the flag. diffusers then says that it expected a `UNet2DConditionModel`; that is about the "
    "type alone."
)
SNIPPET = """```python
import torch
from diffusers import DiffusionPipeline

pipeline = DiffusionPipeline.from_pretrained("{name}", dtype=torch.{dtype}{flag})
image = pipeline(
    "a red apple on a table",
    height={pixels},
    width={pixels},
    num_inference_steps={steps},
    guidance_scale={guidance:g},
    generator=torch.Generator().manual_seed(0),
).images[0]
image.save("image.png")
```"""
LICENCE = (
    "The weights derive from the base model and from the training images; the terms of both apply to them, and neither "
    "is known to this file."
)
DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Card:
    """What a card says.

    Attributes:
        title: its heading.
        component: what stands in the U-Net's place.
        precision: of the stored weights.
        pixels: side of the images.
        sample: how images are generated.
        base: the base model as it was named; it is stated as such where it is a hub id.
        tags: for the header.
        sections: heading and text of all that follows.
    """

    title: str
    component: Component
    precision: str
    pixels: int
    sample: SampleConfig
    base: str
    tags: tuple[str, ...]
    sections: tuple[tuple[str, str], ...]

    @property
    def header(self) -> str:
        """The YAML header."""
        from huggingface_hub import ModelCardData

        data = ModelCardData(
            library_name="diffusers",
            pipeline_tag="text-to-image",
            base_model=self.base if on_hub(self.base) else None,
            tags=["replbench", "memorization", *self.tags],
        )
        return f"---\n{data.to_yaml()}\n---"

    def loading(self, name: str) -> str:
        """Which flag, why, and code that runs beside the folder ``name``."""
        file, kind = self.component.file, self.component.kind
        why = PLAIN if file is None else CARRIED.format(kind=kind, file=file)
        snippet = SNIPPET.format(
            name=name,
            dtype=DTYPES[self.precision],
            flag="" if file is None else ", trust_remote_code=True",
            pixels=self.pixels,
            steps=self.sample.steps,
            guidance=self.sample.guidance_scale,
        )
        notes = f"The weights are stored in {self.precision}."
        if self.sample.guidance_scale <= 1:
            notes += " At a guidance scale of 1 or less a pipeline does not guide at all."
        return f"{why}\n\n{snippet}\n\nRun this beside the folder. {notes}"

    def text(self, name: str) -> str:
        """The card of the folder ``name``."""
        sections = (("Loading", self.loading(name)), *self.sections, ("Licence", LICENCE))
        body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections)
        return f"{self.header}\n\n# {self.title}\n\n{body}\n\nWritten by replbench {__version__}.\n"


def on_hub(base: str) -> bool:
    """Whether a base model was named by a hub id, owner/name."""
    return base.count("/") == 1 and not base.startswith((".", "/")) and not Path(base).exists()


def shown(base: str) -> str:
    """How a base model is called in public: a local folder by its last part."""
    return base if on_hub(base) else Path(base).name


def cell(value: object) -> str:
    """A value inside a table."""
    return " ".join(str(value).split()).replace("|", "\\|")


def table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)
