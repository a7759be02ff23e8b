"""From a trained method to the model that stands in a pipeline in the U-Net's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from replication_bench import plugins
from replication_bench.denoiser import Denoiser, Exportable
from replication_bench.errors import ConfigError
from replication_bench.export.bundle import bundle


@dataclass(frozen=True)
class Component:
    """A model for a pipeline.

    Attributes:
        model: a diffusers ``ModelMixin``.
        file: name of the Python file that its class needs, without suffix; None for a class of diffusers' own.
        source: the text of that file.
    """

    model: Any
    file: str | None = None
    source: str | None = None

    @property
    def kind(self) -> str:
        """The name of the class."""
        return type(self.model).__name__


def fused(network: nn.Module) -> nn.Module:
    """``network`` with low-rank adapters added into the weights they adapt: a plain U-Net again, in place."""
    unet: Any = network
    if getattr(unet, "peft_config", None):
        unet.fuse_lora()
        unet.unload_lora()
    return network


def component_of(denoiser: Denoiser, name: str) -> Component:
    """The component of the trained method ``name``.

    Raises:
        ConfigError: the denoiser does not say what it is in a pipeline, or is more than its class would load.
        PluginError: the code of the class cannot travel.
    """
    if not isinstance(denoiser, Exportable):
        raise ConfigError(
            f"the method '{name}' cannot be exported",
            got=f"a {type(denoiser).__name__} without component()",
            hint="docs/plugins.md says how a denoiser becomes part of a pipeline.",
        )
    model = denoiser.component()
    if type(model).__module__.partition(".")[0] == "diffusers":
        refuse_hooks(model, name)
        return Component(model)
    return carried(model, name)


def refuse_hooks(model: nn.Module, name: str) -> None:
    """Refuse a model of diffusers' that hooks change: loaded again it would be without them."""
    for place, module in model.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:
            raise ConfigError(
                f"the method '{name}' cannot be exported",
                got=f"a {type(model).__name__} with a hook on {place or 'itself'}, which no file would hold",
                want="a component class that puts it there",
            )


def carried(model: nn.Module, name: str) -> Component:
    """A model whose code goes along.

    Raises:
        ConfigError: its class stands behind no door, so that nobody could load the folder again here.
    """
    kind = type(model)
    known = plugins.available("components")
    if kind.__name__ not in known or known[kind.__name__].load() is not kind:
        raise ConfigError(
            f"the method '{name}' cannot be exported",
            got=f"a component of class {kind.__name__}",
            want=f"the class behind a door replication_bench.components: {', '.join(known)}",
        )
    about = (
        f"The class {kind.__name__}, written by replbench; diffusers loads it with trust_remote_code=True."
    )
    return Component(model, kind.__module__.rpartition(".")[2], bundle(kind, about))
