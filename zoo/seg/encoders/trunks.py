"""Trunks: networks cut down to the layers that make feature maps, the inner part of an encoder.

A trunk takes normalised images `[N, in_chans, H, W]` and returns their maps from shallow to deep.
`zoo.seg.encoders.encoder` measures the maps' strides and channels.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from zoo.errors import MissingDependencyError, OptionError, WeightsError


@dataclass(frozen=True)
class Trunk:
    """A network that returns feature maps, and the input that its configuration asks for."""

    name: str  # for messages
    module: nn.Module
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    size: tuple[int, int] | None = None  # (height, width) of the images it was made for
    channels_last: bool = False  # whether its maps are [N, H, W, C]


class Chain(nn.Module):
    """Layers that run in sequence; returns the outputs of those in `taps`, by default of all."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.taps = tuple(range(len(self.layers)))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.taps:
                maps.append(x)
        return maps


def own_trunk(module: nn.Module, *, cut: int | None) -> Trunk:
    """Return the trunk of a user's module: the first `cut` children of an nn.Sequential, or another
    module that returns a list of maps.

    If the module has a `pretrained_cfg` like timm's, its input is normalised by it; otherwise the
    input stays in [0, 1]. Raises OptionError for `cut` with another module.
    """
    if isinstance(module, nn.Sequential):
        module = Chain(flatten(list(module.children())[:cut]))
    elif cut is not None:
        raise OptionError(f"cut={cut} is for an nn.Sequential, not a {type(module).__name__}.")
    return configured(type(module).__name__, module)


def flatten(modules: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The modules with every nn.Sequential among them replaced by its children."""
    for module in modules:
        if type(module).forward is nn.Sequential.forward:
            yield from flatten(module.children())
        else:
            yield module


def configured(name: str, module: nn.Module) -> Trunk:
    """The trunk of a module, with the input settings of its `pretrained_cfg`, if it has one."""
    cfg: dict[str, Any] = getattr(module, "pretrained_cfg", {})
    if "mean" not in cfg:
        return Trunk(name, module)
    height, width = cfg["input_size"][1:]
    return Trunk(
        name,
        module,
        tuple(cfg["mean"]),
        tuple(cfg["std"]),
        size=(height, width),
        channels_last=getattr(module, "output_fmt", None) == "NHWC",
    )


def require(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise MissingDependencyError(
            f"This encoder needs the package {name}: pip install {name}"
        ) from error


def adapt_stem(weight: Tensor, name: str, in_chans: int) -> Tensor:
    """The first layer's filters for `in_chans` channels instead of 3: summed for 1, else repeated
    and rescaled.

    Raises:
        WeightsError: timm can't adapt this layer.
    """
    try:
        adapted: Tensor = require("timm").models.adapt_input_conv(in_chans, weight)
    except NotImplementedError as error:
        raise WeightsError(
            f"The first layer of {name} can't be turned from 3 to {in_chans} channels:"
            " use in_chans=3, or no encoder_weights."
        ) from error
    return adapted
