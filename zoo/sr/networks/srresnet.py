"""SRResNet without batch norm: the zoo's super-resolution network.

Ledig et al., "Photo-realistic single image super-resolution" (arXiv:1609.04802), without batch norm
as in EDSR (Lim et al., arXiv:1707.02921); fast.ai, part 2 (2018), lesson 14.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.layers.upsampling import Upsampler, UpsamplerKind
from zoo.model import InputSpec, ZooModel, as_floats, check_images
from zoo.registry import register_model


class ResidualBlock(nn.Module):
    """x + res_scale · conv(leaky_relu(conv(x))), `[N, width, H, W]` → the same shape.

    Batch norm is left out because it removes the features' range (EDSR). A slope of 0 gives the
    lesson's ReLU.
    """

    def __init__(self, width: int, res_scale: float, negative_slope: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.res_scale = res_scale
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        active = F.leaky_relu(self.conv1(x), self.negative_slope)
        return torch.add(x, self.conv2(active), alpha=self.res_scale)


class SRResNet(ZooModel):
    """Enlarges RGB images by `scale`.

    The trunk works at the input's resolution, where convolutions are cheap; features are enlarged
    last. The output is a residual added to the bilinearly enlarged input. The sum keeps the input's
    precision, so a trunk in bfloat16 loses almost no accuracy.

    Args:
        scale: a product of 2 and 3; with 1 the network restores instead of enlarging.
        width: channels of the trunk.
        depth: residual blocks.
        res_scale: factor on each residual branch; below 1 it keeps high learning rates and wide
            nets stable.
        negative_slope: slope of the leaky ReLU in the blocks. 0 makes it a ReLU, but the Muon
            optimizer lets ReLU units and whole blocks die.
        upsampler: "pixelshuffle" (with ICNR), "nearest" or "transposed".
        residual: whether the output is added to the enlarged input. Without, as in EDSR, it is
            added to the mean.

    Shape: float `[N, 3, H, W]` in [0, 1], H and W at least 1 → float `[N, 3, scale·H, scale·W]`,
    not clamped.

    Raises:
        OptionError: `upsampler` is unknown, or `scale` is no product of 2 and 3.
        InputError: the input has another shape or dtype.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        scale: int,
        *,
        width: int = 64,
        depth: int = 16,
        res_scale: float = 1.0,
        negative_slope: float = 0.1,
        upsampler: UpsamplerKind = "pixelshuffle",
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.residual = residual
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(width, res_scale, negative_slope) for _ in range(depth))
        )
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.upsampler = Upsampler(width, scale, upsampler)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)
        with torch.no_grad():  # the initial output is close to bilinear enlargement
            for parameter in self.tail.parameters():
                parameter.mul_(0.1)

        # For tiling: the receptive field's radius in input pixels, of the whole and of `enlarge`;
        # and the floats alive per input pixel at the peak: the last enlargement's input, wide and
        # shuffled output; in the trunk the skip and a block's input, inner features and output.
        reach = self.upsampler.radius + 1 / scale
        self.halo = math.ceil(1 + 2 * depth + 1 + reach)
        self.enlarge_halo = math.ceil(reach)
        self.peak_floats = 3 * width * scale**2
        self.trunk_floats = 4 * width

    @property
    def input_spec(self) -> InputSpec:
        return InputSpec(3, 1, as_floats(self.mean), as_floats(self.std))

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, 3)
        return self.enlarge(self.trunk(x), x)

    def trunk(self, x: Tensor) -> Tensor:
        """Images `[N, 3, H, W]` to features `[N, width, H, W]`."""
        features: Tensor = self.head((x - self.mean) / self.std)
        features = features + self.fuse(self.body(features))
        return features

    def enlarge(self, features: Tensor, x: Tensor) -> Tensor:
        """The trunk's features and its images to the result `[N, 3, scale·H, scale·W]`."""
        detail: Tensor = self.tail(self.upsampler(features)) * self.std
        if not self.residual:
            return detail + self.mean
        large: Tensor = F.interpolate(x, scale_factor=self.scale, mode="bilinear") + detail
        return large


@register_model(task="super-resolution")
def srresnet_x1(
    *,
    width: int = 64,
    depth: int = 16,
    res_scale: float = 1.0,
    negative_slope: float = 0.1,
) -> SRResNet:
    """SRResNet that cleans without enlarging; 1.22 million parameters. See `SRResNet`."""
    return SRResNet(1, width=width, depth=depth, res_scale=res_scale, negative_slope=negative_slope)


@register_model(task="super-resolution")
def srresnet_x2(
    *,
    width: int = 64,
    depth: int = 16,
    res_scale: float = 1.0,
    negative_slope: float = 0.1,
    upsampler: UpsamplerKind = "pixelshuffle",
) -> SRResNet:
    """SRResNet that enlarges by 2; 1.37 million parameters. See `SRResNet` for the options."""
    return SRResNet(
        2,
        width=width,
        depth=depth,
        res_scale=res_scale,
        negative_slope=negative_slope,
        upsampler=upsampler,
    )


@register_model(task="super-resolution")
def srresnet_x4(
    *,
    width: int = 64,
    depth: int = 16,
    res_scale: float = 1.0,
    negative_slope: float = 0.1,
    upsampler: UpsamplerKind = "pixelshuffle",
) -> SRResNet:
    """SRResNet that enlarges by 4; 1.52 million parameters. See `SRResNet` for the options."""
    return SRResNet(
        4,
        width=width,
        depth=depth,
        res_scale=res_scale,
        negative_slope=negative_slope,
        upsampler=upsampler,
    )
