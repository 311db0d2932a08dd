"""The lesson's perceptual loss: two images are alike when a trained network sees them alike.

loss = FeatureLoss(lesson_net())                              # VGG16-BN, the lesson's layers
loss = FeatureLoss(net, {"layer1": 0.5, "layer2": 0.5}, style=10.0)
loss(prediction, target).backward()

Johnson et al., "Perceptual losses for real-time style transfer and super-resolution"
(arXiv:1603.08155); fast.ai, part 2 (2018), lesson 14, notebook `enhance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.sr.feature_maps import FeatureMaps, before_max_pools
from zoo.sr.srresnet import IMAGENET_MEAN, IMAGENET_STD

LESSON_WEIGHTS = (0.26, 0.74)


class FeatureLoss(nn.Module):
    """pixel · L1(pixels) + Σ weight · L1(features), and for style + style · weight · L1(Gram).

    Features alone reward the cheapest fine detail there is, the fixed pattern that an upsampler can
    paint over everything. The grid term counts against it: grid · L1(pattern), see `grid_pattern`.

    The network is copied, cut and frozen, see `FeatureMaps`. There are no hooks, so it works
    compiled and under DDP. In autocast the network runs in half precision; distances are taken in
    float32.

    Args:
        net: takes images `[N, 3, H, W]`; anything that torch.fx can trace.
        layers: weight by layer name; by default the lesson's: what the max-pools get, the first
            two of them, weighted 0.26 and 0.74.
        pixel: weight of the pixels' L1 distance; the lesson's is 1/100.
        style: weight of the Gram matrices' distance, 0 for none.
        grid: weight of the distance of patterns that repeat every `period` pixels, 0 for none.
        period: the factor of enlargement; H and W are multiples of it, and 4 × as large or more.
        mean, std: of RGB in [0, 1], with which the network's input is normalised.

    Shape: prediction and target `[N, 3, H, W]` float RGB in [0, 1] → a scalar, float32.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: a network that can't be traced or has too few max-pools; no layer at all; with
            `grid`, images that it can't be measured on.
    """

    def __init__(
        self,
        net: nn.Module,
        layers: Mapping[str, float] | None = None,
        *,
        pixel: float = 0.01,
        style: float = 0.0,
        grid: float = 0.0,
        period: int = 1,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if layers is None:
            names = before_max_pools(net, count=len(LESSON_WEIGHTS))
            layers = dict(zip(names, LESSON_WEIGHTS, strict=True))
        self.layers, self.pixel, self.style = dict(layers), pixel, style
        self.grid, self.period = grid, period
        self.maps = FeatureMaps(net, list(layers), mean=mean, std=std)

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        # Two calls, for in one batch the way back would lead through the target's half, too.
        target = target.detach()
        with torch.no_grad():
            wanted = self.maps(target)
        seen = self.maps(prediction)
        prediction, target = prediction.float(), target.float()
        loss = self.pixel * F.l1_loss(prediction, target)
        if self.grid:
            loss = loss + self.grid * F.l1_loss(
                grid_pattern(prediction, self.period), grid_pattern(target, self.period)
            )
        for name, weight in self.layers.items():
            a, b = seen[name].float(), wanted[name].float()
            loss = loss + weight * F.l1_loss(a, b)
            if self.style:
                loss = loss + self.style * weight * F.l1_loss(gram(a), gram(b))
        return loss


def grid_pattern(images: Tensor, period: int) -> Tensor:
    """What repeats every `period` pixels: by how much the mean of each position of that grid
    differs from the mean of all, in windows of 4 × 4 periods, each half over the next.

    `[N, C, H, W]` → `[N, C, period², h, w]`.

    Raises:
        InputError: H or W is no multiple of the period, or less than four periods.
    """
    height, width = images.shape[2:]
    if height % period or width % period or min(height, width) < 4 * period:
        raise InputError(
            f"The grid term needs images whose sides are multiples of {period}, {4 * period} pixels"
            f" or more, not {height} × {width}: use larger patches, or grid 0."
        )
    means = F.avg_pool2d(F.pixel_unshuffle(images, period), 4, stride=2)
    count, _, height, width = means.shape
    means = means.view(count, -1, period**2, height, width)
    pattern: Tensor = means - means.mean(dim=2, keepdim=True)
    return pattern


def gram(features: Tensor) -> Tensor:
    """How channels go together, anywhere in the image: `[N, C, H, W]` → `[N, C, C]`, float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)  # [N, C, H·W]
        return flat @ flat.mT / flat[0].numel()
