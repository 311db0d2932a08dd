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
from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.sr.losses.feature_maps import FeatureMaps, before_max_pools

LESSON_WEIGHTS = (0.26, 0.74)


class FeatureLoss(nn.Module):
    """pixel · L1(pixels) + Σ weight · L1(features), and for style + style · weight · L1(Gram).

    Features alone reward the cheapest fine detail there is, the fixed pattern that an upsampler can
    paint over everything. The grid term counts against it: grid · L1(pattern), see `grid_pattern`.
    What is left is a weave of waves between the grid's; against it stands the excess term: excess ·
    mean(amplitude beyond the target's), see `local_amplitudes`. Being softer than the target costs
    nothing there.

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
        excess: weight of the waves that are stronger than the target's, 0 for none.
        period: the factor of enlargement; H and W are multiples of it, and 4 × as large or more.
        mean, std: of RGB in [0, 1], with which the network's input is normalised.

    Shape: prediction and target `[N, 3, H, W]` float RGB in [0, 1] → a scalar, float32.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: a network that can't be traced or has too few max-pools; no layer at all; `grid`
            without a `period` of 2 or more; with `grid` or `excess`, images that they can't be
            measured on.
    """

    def __init__(
        self,
        net: nn.Module,
        layers: Mapping[str, float] | None = None,
        *,
        pixel: float = 0.01,
        style: float = 0.0,
        grid: float = 0.0,
        excess: float = 0.0,
        period: int = 1,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if grid and period < 2:
            raise InputError("The grid term needs the grid's period: the factor of enlargement.")
        if layers is None:
            names = before_max_pools(net, count=len(LESSON_WEIGHTS))
            layers = dict(zip(names, LESSON_WEIGHTS, strict=True))
        self.layers, self.pixel, self.style = dict(layers), pixel, style
        self.grid, self.excess, self.period = grid, excess, period
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
        if self.excess:
            beyond = local_amplitudes(prediction) - local_amplitudes(target)
            loss = loss + self.excess * F.relu(beyond).mean()
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


def local_amplitudes(images: Tensor) -> Tensor:
    """How strong the waves of each length and direction are, about each place: the root of their
    mean power in 4 × 4 windows of 16 pixels a side, each half over the next.

    `[N, C, H, W]` → `[N, C · 16 · 9, h, w]`, in units of a pixel's value.

    Raises:
        InputError: H or W is less than 40.
    """
    height, width = images.shape[2:]
    if min(height, width) < 40:
        raise InputError(
            f"The excess term needs images of 40 pixels a side or more, not {height} × {width}:"
            " use larger patches, or excess 0."
        )
    window = torch.hann_window(16, dtype=images.dtype, device=images.device)
    tiles = images.unfold(2, 16, 8).unfold(3, 16, 8)  # [N, C, h, w, 16, 16]
    tiles = (tiles - tiles.mean(dim=(-2, -1), keepdim=True)) * window[:, None] * window
    waves = torch.view_as_real(torch.fft.rfft2(tiles, norm="ortho"))
    power = waves.square().sum(dim=-1).permute(0, 1, 4, 5, 2, 3).flatten(1, 3)
    rounding = 1 / 255**2 / 12  # what 8 bits add to each; it keeps the root smooth, too
    return (F.avg_pool2d(power, 4, stride=2) + rounding).sqrt()


def gram(features: Tensor) -> Tensor:
    """How channels go together, anywhere in the image: `[N, C, H, W]` → `[N, C, C]`, float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)  # [N, C, H·W]
        return flat @ flat.mT / flat[0].numel()
