"""MSRResNet, the residual network of BasicSR, for weights from there.

It is the generator of Ledig et al. (arXiv:1609.04802) as Wang et al. modified it for ESRGAN
(arXiv:1809.00219) and BasicSR. Its layers have BasicSR's names.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import OptionError
from zoo.layers.upsampling import icnr_
from zoo.model import InputSpec, ZooModel, check_images
from zoo.registry import register_model
from zoo.sr.networks.srresnet import ResidualBlock

_SLOPE = 0.1  # of the leaky ReLUs outside the blocks


class MSRResNet(ZooModel):
    """Enlarges RGB images by `scale`, 2, 3 or 4; 4 in two steps.

    Unlike `SRResNet` it has a leaky ReLU after the layers outside the blocks, no skip over the
    trunk, one more convolution before the last, and no normalisation.

    Shape: float `[N, 3, H, W]` in [0, 1], H and W at least 1 → float `[N, 3, scale·H, scale·W]`,
    not clamped.

    Raises:
        OptionError: another `scale`.
        InputError: the input has another shape or dtype.
    """

    def __init__(self, scale: int, *, width: int = 64, depth: int = 16) -> None:
        super().__init__()
        if scale not in (2, 3, 4):
            raise OptionError(f"scale={scale} is none of 2, 3 and 4.")
        self.scale = scale
        factors = [2, 2] if scale == 4 else [scale]
        self.conv_first = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(width, 1.0) for _ in range(depth)))
        self.ups = [(f"upconv{i}", factor) for i, factor in enumerate(factors, 1)]
        for name, factor in self.ups:
            conv = nn.Conv2d(width, width * factor**2, 3, padding=1)
            icnr_(conv, factor)
            self.add_module(name, conv)
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)
        with torch.no_grad():  # the initial output is close to bilinear enlargement
            for parameter in self.conv_last.parameters():
                parameter.mul_(0.1)

        # For tiling; see `SRResNet`. The last two convolutions work on the enlarged image.
        reach = sum(1 / math.prod(factors[:i]) for i in range(len(factors))) + 2 / scale
        self.halo = math.ceil(1 + 2 * depth + reach)
        self.enlarge_halo = math.ceil(reach)
        self.peak_floats = 3 * width * scale**2
        self.trunk_floats = 4 * width

    @property
    def input_spec(self) -> InputSpec:
        return InputSpec(3, 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, 3)
        return self.enlarge(self.trunk(x), x)

    def trunk(self, x: Tensor) -> Tensor:
        """Images `[N, 3, H, W]` to features `[N, width, H, W]`."""
        features: Tensor = self.body(F.leaky_relu(self.conv_first(x), _SLOPE))
        return features

    def enlarge(self, features: Tensor, x: Tensor) -> Tensor:
        """The trunk's features and its images to the result `[N, 3, scale·H, scale·W]`."""
        for name, factor in self.ups:
            enlarged = F.pixel_shuffle(self.get_submodule(name)(features), factor)
            features = F.leaky_relu(enlarged, _SLOPE)
        detail: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(features), _SLOPE))
        return F.interpolate(x, scale_factor=self.scale, mode="bilinear") + detail


@register_model(task="super-resolution")
def msrresnet(*, scale: int = 4, width: int = 64, depth: int = 16) -> MSRResNet:
    """MSRResNet of BasicSR; 1.52 million parameters. `zoo convert` brings weights."""
    return MSRResNet(scale, width=width, depth=depth)
