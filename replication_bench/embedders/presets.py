"""Named protocols by embedder, and the syntax ``NAME@PROTOCOL`` of the command line.

Sources: SSCD's README (facebookresearch/sscd-copy-detection), MemBench, DCR (somepago/DCR ``diff_retrieval.py``). All
of them resize with torchvision and name no filter, so theirs is torchvision's default: bilinear.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication_bench import plugins
from replication_bench.errors import ConfigError, did_you_mean

Settings = Mapping[str, Any]
HALF = (0.5, 0.5, 0.5)

SSCD: dict[str, Settings] = {
    "sscd-128": {"resize": "squash", "pixels": 128},
    "sscd-official-288": {"resize": "short", "pixels": 288, "interpolation": "bilinear"},
    "sscd-official-320": {"resize": "squash", "pixels": 320, "interpolation": "bilinear"},
    "membench-288": {"resize": "squash", "pixels": 288, "interpolation": "bilinear"},
    "dcr": {
        "resize": "short",
        "pixels": 256,
        "interpolation": "bilinear",
        "crop": 224,
        "mean": HALF,
        "std": HALF,
    },
}


def choose(
    embedder: str, preset: str, presets: Mapping[str, Settings], refused: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a named protocol.

    Args:
        embedder: its name behind the door.
        preset: the protocol's name.
        presets: what the embedder can follow.
        refused: protocols that exist but that its weights cannot follow, each with the reason.

    Raises:
        ConfigError: an unknown protocol, or one that the weights cannot follow.
    """
    if preset in presets:
        return presets[preset]
    if refused and preset in refused:
        known = ", ".join(presets)
        raise ConfigError(
            f"the embedder '{embedder}' cannot follow the protocol '{preset}': {refused[preset]}",
            hint=f"It follows: {known}.",
        )
    hint = did_you_mean(preset, presets)
    raise ConfigError(f"the embedder '{embedder}' has no protocol '{preset}'", hint=hint)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME[@PROTOCOL][,KEY=VALUE ...]`` -> the embedder's name and its options.

    ``sscd@sscd-official-320`` -> ``("sscd", {"preset": "sscd-official-320"})``;
    ``sscd-torchscript@dcr,path=large.pt,threads=2`` gives further options, whose values are read as in ``--set``.

    Raises:
        PluginError: no such embedder.
        ConfigError: something that is not of this form.
    """
    from replication_bench.config import parse_value

    head, *settings = text.split(",")
    name, at, preset = head.partition("@")
    plugins.find("embedders", name)
    options: dict[str, Any] = {"preset": preset} if preset else {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals and value):
            raise wrong_form(text)
        options[key.strip()] = parse_value(value)
    if at and not preset:
        raise wrong_form(text)
    return name, options


def wrong_form(text: str) -> ConfigError:
    """The error for a text that ``parse`` cannot read."""
    want = "NAME, NAME@PROTOCOL or NAME@PROTOCOL,key=value"
    return ConfigError(
        "no such embedder can be meant", got=text, want=want, hint="See 'replbench embedders'."
    )
