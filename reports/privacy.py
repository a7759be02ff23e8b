"""What of a dataset may stand in a report: everything, blurred images alone, or nothing.

A report about a leak must not be one: training images and captions are left out unless their dataset says under which
licence anyone may see them, or the reader asks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from PIL import Image

from replication_bench import plugins
from replication_bench.errors import ConfigError, PluginError
from replication_bench.results import Result

Mode = Literal["show", "blur", "omit"]
MOSAIC = 5  # an image is first reduced to so many squares a side


@dataclass(frozen=True)
class Privacy:
    """The rules for one dataset.

    Generated images are blurred wherever training images are not shown, since a copy shows its original. Prompts are
    captions of training images, and ids can be names of files; both are left out with the captions.
    """

    mode: Mode = "omit"

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


class Notice(NamedTuple):
    """A sentence of the page about one dataset, and whether the page can be shared as far as that goes."""

    text: str
    safe: bool


@dataclass(frozen=True)
class Rules:
    """What a report was asked to show.

    Attributes:
        mode: for every dataset; None shows those whose licence lets anyone see them, and leaves out the others.
    """

    mode: Mode | None = None

    def of(self, result: Result) -> Privacy:
        """What may be shown of a result's dataset."""
        return Privacy(self.mode or ("show" if licence_of(result.dataset.name) else "omit"))

    def notices(self, results: Sequence[Result]) -> list[Notice]:
        """What the page says, one sentence a dataset."""
        return list(dict.fromkeys(self.notice(result) for result in results))

    def notice(self, result: Result) -> Notice:
        """What the page says about one dataset."""
        name, mode = result.dataset.name, self.of(result).mode
        licence = licence_of(name)
        if mode == "show" and licence:
            return Notice(f"The training images and captions of {name} are shown ({licence}).", True)
        if mode == "show":
            return Notice(
                f"This page contains the training images and captions of {name}. Before it is shared, make it again "
                "without --show-training-images.",
                False,
            )
        images = "are blurred" if mode == "blur" else "are left out"
        return Notice(
            f"Redacted: training images of {name} {images}; generated images are blurred, since a copy shows its "
            "original; captions, prompts and names of training images are left out.",
            True,
        )


def make_rules(*, show: bool, redact: bool, blur: bool) -> Rules:
    """The rules that the flags of the command mean.

    Raises:
        ConfigError: training images are to be shown and redacted at once.
    """
    if show and (redact or blur):
        raise ConfigError(
            "a report shows training images or redacts them",
            where="--show-training-images",
            got=f"also {'--redact' if redact else '--blur'}",
            want="one of them",
        )
    return Rules("show" if show else "blur" if blur else "omit" if redact else None)


@cache
def licence_of(dataset: str) -> str:
    """The licence under which anyone may see a dataset's images, as the installed one says; empty where none is."""
    try:
        return str(getattr(plugins.load("datasets", dataset), "licence", ""))
    except PluginError:
        return ""


def blurred(image: Image.Image) -> Image.Image:
    """The image as a soft mosaic of ``MOSAIC`` x ``MOSAIC`` colours: no detail can be got back."""
    small = image.convert("RGB").resize((MOSAIC, MOSAIC), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BICUBIC)
