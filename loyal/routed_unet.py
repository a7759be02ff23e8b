"""One diffusers model out of U-Nets for intervals of timesteps, with or without transfer blocks (arXiv 2412.01118).

An exported pipeline carries this module and those of ``loyal`` that it imports as one file, and diffusers runs that
where replbench is not installed. So all of them import nothing but torch and diffusers, and check no options:
``loyal.blocks`` did before anything was saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from diffusers import ModelMixin, UNet2DConditionModel
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders.peft import PeftAdapterMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor, nn

from loyal.layers import Options
from loyal.route import route
from loyal.skips import CONFIG_KEY, put_blocks

SHARED = ("sample_size", "in_channels", "out_channels", "block_out_channels", "cross_attention_dim")


def new_unet(config: dict[str, Any]) -> nn.Module:
    """The U-Net of a config, with transfer blocks where it names some; their weights are unset."""
    plain = {key: value for key, value in config.items() if key != CONFIG_KEY}
    unet: nn.Module = UNet2DConditionModel.from_config(plain)
    if CONFIG_KEY in config:
        put_blocks(unet, Options(**config[CONFIG_KEY]))
    return unet


class RoutedUNet(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """U-Nets that share the timesteps, in the shape that a ``StableDiffusionPipeline`` expects of its ``unet``.

    Args:
        networks: the config of each ``UNet2DConditionModel``, with the options of its transfer blocks.
        starts: the first timestep of each, ascending from 0.
        sample_size: side of the latents, as all networks have it; so are the following.
        in_channels: channels of the noisy latents.
        out_channels: channels of the prediction.
        block_out_channels: channels by level.
        cross_attention_dim: width of the text states.
        time_cond_proj_dim: always None; a pipeline looks for it.
    """

    _supports_gradient_checkpointing = True

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        networks: Sequence[dict[str, Any]],
        starts: Sequence[int],
        sample_size: int | None = None,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: Sequence[int] = (320, 640, 1280, 1280),
        cross_attention_dim: int = 1280,
        time_cond_proj_dim: int | None = None,
    ):
        super().__init__()
        # another name than in the config: diffusers loads weights through getattr, which finds the config first
        self.unets = nn.ModuleList(new_unet(config) for config in networks)

    @classmethod
    def of(cls, networks: Sequence[Any], starts: Sequence[int]) -> RoutedUNet:
        """Trained U-Nets as one model that shares their weights; ``networks`` and ``starts`` as in ``route``."""
        configs = [
            {key: value for key, value in network.config.items() if not key.startswith("_")}
            for network in networks
        ]
        shared = {key: configs[0][key] for key in SHARED}
        with torch.device("meta"):
            model = cls(networks=configs, starts=list(starts), **shared)
        model.unets = nn.ModuleList(networks)
        return model.eval()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> Any:
        """As in diffusers, and strict: weights that the config does not name, or that are missing, are refused.

        Raises:
            ValueError: keys or shapes differ.
        """
        told = kwargs.pop("output_loading_info", False)
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, output_loading_info=True, **kwargs
        )
        wrong = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]
        if wrong:
            raise ValueError(f"the weights do not fit their config: {len(wrong)} keys, such as {min(wrong)}")
        return (model, info) if told else model

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        return_dict: bool = True,
        **more: Any,
    ) -> Any:
        """The prediction for ``sample`` float [n, c, h, w] at ``timestep`` [n], [] or a number.

        Raises:
            ValueError: further inputs for a batch that more than one network has rows of.
        """
        t = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        given = {key: value for key, value in more.items() if value is not None}

        def call(unet: nn.Module, x_t: Tensor, rows: Tensor, cond: Tensor) -> Tensor:
            if given and len(x_t) < len(sample):
                raise ValueError(f"a batch of several networks' timesteps cannot take {', '.join(given)}")
            prediction: Tensor = unet(x_t, rows, cond, return_dict=False, **given)[0]
            return prediction

        calls = [partial(call, unet) for unet in self.unets]
        prediction = route(calls, self.config["starts"], sample, t, encoder_hidden_states)
        return UNet2DConditionOutput(sample=prediction) if return_dict else (prediction,)
