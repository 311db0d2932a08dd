"""The lesson's perceptual loss: the distance of two images in a trained network's features.

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
    """A weighted sum of L1 distances between pixels, features and patterns:

    pixel · L1(pixels) + Σ weight · (L1(features) + style · L1(Gram matrices))
    + grid · L1(grid patterns) + excess · mean(relu(amplitudes - the target's amplitudes))

    Features alone reward fixed fine patterns that the upsampler adds to the whole image. `grid`
    penalises those that repeat with its period (`grid_pattern`), `excess` any local frequency that
    is stronger than in the target (`local_amplitudes`); a weaker one costs nothing.

    The network is copied, cut and frozen, see `FeatureMaps`. It has no hooks, so the loss works
    compiled and under DDP. Under autocast the network runs in half precision; the distances are
    computed in float32.

    Args:
        net: a network for images `[N, 3, H, W]` that torch.fx can trace.
        layers: weight by layer name; by default the lesson's: the inputs of the first two
            max-pools, weighted 0.26 and 0.74.
        pixel: weight of the pixels' L1 distance; the lesson's is 1/100.
        style: weight of the Gram matrices' distance, relative to the features'; 0 omits it.
        grid: weight of the grid patterns' distance; 0 omits it.
        excess: weight of amplitudes above the target's; 0 omits it.
        period: the scale factor. With `grid`, H and W are multiples of it, at least 4 × as large.
        mean, std: normalise the network's input, RGB in [0, 1].

    Shape: prediction and target, float RGB `[N, 3, H, W]` in [0, 1] → float32 scalar.

    Raises:
        UnknownNameError: the network has no such layer.
        InputError: the network can't be traced or has too few max-pools; `layers` is empty; `grid`
            comes without a `period` of 2 or more; the images' size does not suit `grid` or
            `excess`.
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
        # Two calls: in one batch, the backward pass would run through the target's half as well.
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
    """The pattern that repeats every `period` pixels: the mean at each position in the period minus
    the mean of all positions, in windows of 4 × 4 periods that overlap by half.

    `[N, C, H, W]` → `[N, C, period², h, w]` for h × w windows.

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
    """The local amplitude spectrum: the root mean power of each frequency over 4 × 4 tiles of
    16 × 16 pixels under a Hann window. Tiles, and groups of tiles, overlap by half.

    `[N, C, H, W]` → `[N, C · 16 · 9, h, w]` for h × w groups, in units of the pixel values.

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
    rounding = 1 / 255**2 / 12  # variance of 8-bit rounding; also keeps the root smooth at 0
    return (F.avg_pool2d(power, 4, stride=2) + rounding).sqrt()


def gram(features: Tensor) -> Tensor:
    """Gram matrix of the channels over C · H · W: `[N, C, H, W]` → `[N, C, C]`, float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)  # [N, C, H·W]
        return flat @ flat.mT / flat[0].numel()
