"""The lesson's perceptual loss: two images are alike when a trained network sees them alike.

loss = FeatureLoss(lesson_net())                              # VGG16-BN, the lesson's layers
loss = FeatureLoss(net, {"layer1": 0.5, "layer2": 0.5}, style=10.0)
loss(prediction, target).backward()

Johnson et al., "Perceptual losses for real-time style transfer and super-resolution"
(arXiv:1603.08155); fast.ai, part 2 (2018), lesson 14, notebook `enhance`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from zoo.errors import InputError, UnknownNameError, did_you_mean
from zoo.sr.srresnet import IMAGENET_MEAN, IMAGENET_STD

LESSON_WEIGHTS = (0.26, 0.74)


class FeatureLoss(nn.Module):
    """pixel · L1(pixels) + Σ weight · L1(features), and for style + style · weight · L1(Gram).

    The network is copied, cut behind the last layer that counts and frozen: it stays in eval mode
    and gets no gradients. It uses no hooks, so it works compiled and under DDP. In autocast the
    network runs in half precision; distances are taken in float32.

    Args:
        net: takes images `[N, 3, H, W]`; anything that torch.fx can trace.
        layers: weight by layer name; by default the lesson's: what the max-pools get, the first
            two of them, weighted 0.26 and 0.74.
        pixel: weight of the pixels' L1 distance; the lesson's is 1/100.
        style: weight of the Gram matrices' distance, 0 for none.
        mean, std: of RGB in [0, 1], with which the network's input is normalised.

    Shape: prediction and target `[N, 3, H, W]` float RGB in [0, 1] → a scalar, float32.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: a network that can't be traced or has too few max-pools; no layer at all.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        layers: Mapping[str, float] | None = None,
        *,
        pixel: float = 0.01,
        style: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if layers is None:
            names = before_max_pools(net, count=len(LESSON_WEIGHTS))
            layers = dict(zip(names, LESSON_WEIGHTS, strict=True))
        self.layers, self.pixel, self.style = dict(layers), pixel, style
        self.net = cut_behind(net, list(layers))
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.eval()

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        # Two calls, for in one batch the way back would lead through the target's half, too.
        target = target.detach()
        with torch.no_grad():
            wanted = self.net((target - self.mean) / self.std)
        seen = self.net((prediction - self.mean) / self.std)
        loss = self.pixel * F.l1_loss(prediction.float(), target.float())
        for name, weight in self.layers.items():
            a, b = seen[name].float(), wanted[name].float()
            loss = loss + weight * F.l1_loss(a, b)
            if self.style:
                loss = loss + self.style * weight * F.l1_loss(gram(a), gram(b))
        return loss

    def train(self, mode: bool = True) -> FeatureLoss:
        """Stays in eval mode: the network measures, it does not learn."""
        return super().train(False)


def gram(features: Tensor) -> Tensor:
    """How channels go together, anywhere in the image: `[N, C, H, W]` → `[N, C, C]`, float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)  # [N, C, H·W]
        return flat @ flat.mT / flat[0].numel()


def cut_behind(net: nn.Module, layers: Sequence[str]) -> nn.Module:
    """A frozen copy that returns what these layers give out, by name, and has no later ones.

    Raises:
        UnknownNameError: a layer that there is not.
        InputError: no layers, or a network that torch.fx can't trace.
    """
    known = layers_of(net)
    if not layers:
        raise InputError("A feature loss needs at least one layer.")
    for name in layers:
        if not any(node == name or node.startswith(f"{name}.") for node in known):
            raise UnknownNameError(
                f"The network has no layer called {name!r}.{did_you_mean(name, known)}"
            )
    net = copy.deepcopy(net).eval().requires_grad_(False)
    for module in net.modules():
        if "inplace" in vars(module):  # would write over the features of the layer before
            vars(module)["inplace"] = False
    extractor: nn.Module = create_feature_extractor(net, {name: name for name in layers})
    return extractor


def before_max_pools(net: nn.Module, count: int) -> list[str]:
    """Names of the layers whose activations the first `count` max-pools get.

    Raises:
        InputError: fewer max-pools, or a network that torch.fx can't trace.
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
    """Names of all layers, in the order in which they run."""
    try:
        return list(get_graph_node_names(net)[1])
    except Exception as error:  # tracing runs the network's own code
        line = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{type(net).__name__} can't be a feature net, for torch.fx can't trace it ({line})."
        ) from error
