"""The cross-attention modules of a method's networks, and hooks that stand only while a denoiser is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from replication_bench.denoiser import Denoiser
from replication_bench.errors import ConfigError
from replication_bench.method import Context

EVERYWHERE = ("",)


def unwrapped(denoiser: Denoiser) -> Denoiser:
    """The denoiser below the wrappers of methods: what counts the harness's calls, or the module itself."""
    inner: Any = denoiser
    while hasattr(inner, "denoiser") and not isinstance(inner.denoiser, nn.Module):
        inner = inner.denoiser
    return inner


def networks_of(denoiser: Denoiser, ctx: Context) -> list[nn.Module]:
    """Every network that a call of ``denoiser`` can reach: the run's, and those behind its wrappers.

    A method may sample with twins of the trained networks (``loyal`` with ``redraw``), which the context does not name.
    """
    inner: Any = unwrapped(denoiser)
    inner = getattr(inner, "denoiser", inner)
    reached = [inner] if isinstance(inner, nn.Module) else []
    return [*reached, *ctx.networks]


def cross_attentions(denoiser: Denoiser, ctx: Context, inside: Sequence[str] = EVERYWHERE) -> list[Any]:
    """The distinct cross-attention modules of all networks that ``denoiser`` can reach; see ``attentions_in``."""
    return attentions_in(networks_of(denoiser, ctx), inside)


def attentions_in(networks: Iterable[nn.Module], inside: Sequence[str] = EVERYWHERE) -> list[Any]:
    """The distinct cross-attention modules of some networks, in order.

    Args:
        networks: U-Nets, or what holds some.
        inside: parts of a U-Net, such as ``down_blocks``; a module is taken where its path names one of them.

    Raises:
        ConfigError: there are none.
    """
    from diffusers.models.attention_processor import Attention

    found: dict[int, Any] = {}
    for network in networks:
        for name, module in network.named_modules():
            if isinstance(module, Attention) and module.is_cross_attention and any(p in name for p in inside):
                found.setdefault(id(module), module)
    if not found:
        raise ConfigError("the networks have no cross-attention", want="a U-Net that is conditioned on text")
    return list(found.values())


def by_timestep(denoiser: Denoiser, x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
    """What ``denoiser`` predicts, called with whole batches of one timestep each; see ``Denoiser`` for the arguments.

    A routed denoiser shares out the rows of a mixed batch by their timesteps. A hook on a network would then meet rows
    without being told which. Samplers call with one timestep, so that only others pay for more calls.
    """
    if bool((t == t[0]).all()):
        return denoiser(x_t, t, cond)
    found = torch.empty_like(x_t)
    for value in t.unique():
        rows = t == value
        found[rows] = denoiser(x_t, value.expand(len(t)), cond)[rows]
    return found


@contextmanager
def standing(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """Remove the hooks behind ``handles`` at the end, whatever happens in between."""
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def on_output(module: nn.Module, change: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """A hook that replaces the module's output by ``change(output)``, in the output's own dtype.

    ``change`` may compute in float32, as samplers do, where the network's weights are narrower.
    """
    return module.register_forward_hook(lambda _module, _args, output: change(output).to(output.dtype))


def with_mask(attention: nn.Module, mask: Tensor) -> RemovableHandle:
    """A hook that hands an attention module an additive mask, float [rows, 1, keys], in its input's dtype."""

    def add(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        given, added = kwargs.get("attention_mask"), mask.to(args[0])
        return args, {**kwargs, "attention_mask": added if given is None else given + added}

    return attention.register_forward_pre_hook(add, with_kwargs=True)
