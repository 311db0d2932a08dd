"""Outputs of chosen layers of a trained network, for losses and metrics, without hooks."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from zoo.errors import InputError, UnknownNameError, did_you_mean
from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.store.download import reason_of


class FeatureMaps(nn.Module):
    """The outputs of some layers. The network is copied, cut after the last of them and frozen: it
    stays in eval mode and its parameters get no gradients.

    Args:
        net: a network for images `[N, 3, H, W]` that torch.fx can trace.
        layers: names, such as "features.5" or "layer1".
        mean, std: normalise the network's input, RGB in [0, 1].

    Shape: float RGB `[N, 3, H, W]` in [0, 1] → maps `[N, C, h, w]` by layer name.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: the network can't be traced, or `layers` is empty.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        layers: Sequence[str],
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.net = cut_behind(net, layers)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.eval()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = self.net((x - self.mean) / self.std)
        return maps

    def train(self, mode: bool = True) -> FeatureMaps:
        """Keeps eval mode whatever `mode` is: the network is fixed."""
        return super().train(False)


def cut_behind(net: nn.Module, layers: Sequence[str]) -> nn.Module:
    """A frozen copy that ends after these layers and returns their outputs by name.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: `layers` is empty, or torch.fx can't trace the network.
    """
    known = layers_of(net)
    if not layers:
        raise InputError("Features need at least one layer.")
    for name in layers:
        if not any(node == name or node.startswith(f"{name}.") for node in known):
            raise UnknownNameError(
                f"The network has no layer called {name!r}.{did_you_mean(name, known)}"
            )
    net = copy.deepcopy(net).eval().requires_grad_(False)
    for module in net.modules():
        if "inplace" in vars(module):  # would overwrite the previous layer's features
            vars(module)["inplace"] = False
    extractor: nn.Module = create_feature_extractor(net, {name: name for name in layers})
    return extractor


def before_max_pools(net: nn.Module, count: int) -> list[str]:
    """Names of the layers whose outputs the first `count` max-pools take.

    Raises:
        InputError: there are fewer max-pools, or torch.fx can't trace the network.
    """
    modules = dict(net.named_modules())
    names = [
        before
        for before, node in pairwise(layers_of(net))
        if isinstance(modules.get(node), nn.MaxPool2d) or node.startswith("max_pool2d")
    ]
    if len(names) < count:
        raise InputError(
            f"The network has {len(names)} max-pools, not {count}: name the layers instead."
        )
    return names[:count]


def layers_of(net: nn.Module) -> list[str]:
    """Names of all layers in running order; InputError if torch.fx can't trace the network."""
    try:
        return list(get_graph_node_names(net)[1])
    except Exception as error:  # tracing runs the network's own code
        raise InputError(
            f"{type(net).__name__} can't be a feature net, for torch.fx can't trace it"
            f" ({reason_of(error)})."
        ) from error
