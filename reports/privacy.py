"""What of private data may stand in a report: everything, blurred images alone, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image

Mode = Literal["show", "blur", "omit"]
MOSAIC = 5  # an image is first reduced to so many squares a side
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Privacy:
    """The rules of one report.

    Generated images are blurred wherever training images are not shown, since a copy shows its original. Prompts are
    captions of training images, and ids can be names of files; both are left out with the captions.
    """

    mode: Mode = "show"

    @property
    def shows(self) -> bool:
        """Whether everything may stand in the report."""
        return self.mode == "show"

    def train(self, image: Image.Image) -> Image.Image | None:
        """A training image as it may be shown; None for not at all."""
        return None if self.mode == "omit" else self.generated(image)

    def generated(self, image: Image.Image) -> Image.Image:
        """A generated image as it may be shown."""
        return image if self.shows else blurred(image)

    def text(self, text: str) -> str:
        """A caption, prompt or id as it may be shown."""
        return text if self.shows else ""

    @property
    def sentence(self) -> str:
        """What the page says about it."""
        if self.shows:
            return (
                "This page contains training images and captions. Before it is shared, make it again with --redact, "
                "which leaves them out."
            )
        images = "are blurred" if self.mode == "blur" else "are left out"
        return (
            f"Redacted: training images {images}; generated images are blurred, since a copy shows its original; "
            "captions, prompts and names of training images are left out."
        )


def blurred(image: Image.Image) -> Image.Image:
    """The image as a soft mosaic of ``MOSAIC`` x ``MOSAIC`` colours: no detail can be got back."""
    small = image.convert("RGB").resize((MOSAIC, MOSAIC), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)
