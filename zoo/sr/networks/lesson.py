"""The lesson's super-resolution network with its defects, a baseline for `SRResNet`.

fast.ai, "Cutting edge deep learning for coders", part 2 (2018), lesson 14, notebook `enhance`.
Unlike `SRResNet` it has no global skip, a ReLU after every convolution outside the blocks, and
batch norm in the tail, which lowers PSNR. (The lesson calls ICNR with scale 4 for its ×2 shuffles;
that mistake is not repeated.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.layers.imagenet import IMAGENET_MEAN, IMAGENET_STD
from zoo.layers.upsampling import factorise, icnr_
from zoo.model import InputSpec, ZooModel, as_floats, check_images
from zoo.registry import register_model
from zoo.sr.networks.srresnet import ResidualBlock


def conv_relu(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]


def upsample(width: int) -> nn.Sequential:
    conv = nn.Conv2d(width, 4 * width, 3, padding=1)
    icnr_(conv, 2)
    return nn.Sequential(conv, nn.ReLU(), nn.PixelShuffle(2))


class LessonSRResNet(ZooModel):
    """The lesson's net: 64 channels, 8 residual blocks scaled by 0.1, batch norm before the end.

    Shape: float `[N, 3, H, W]` in [0, 1] → float `[N, 3, scale·H, scale·W]`, not clamped. The
    layers work on values normalised with ImageNet's statistics, as in the lesson.

    Args:
        scale: a power of 2.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1))
        self.head = nn.Sequential(*conv_relu(3, 64))
        self.body = nn.Sequential(*(ResidualBlock(64, 0.1) for _ in range(8)))
        self.fuse = nn.Sequential(*conv_relu(64, 64))
        self.upsampler = nn.Sequential(*(upsample(64) for _ in factorise(scale)))
        self.tail = nn.Sequential(nn.BatchNorm2d(64), nn.Conv2d(64, 3, 3, padding=1))

        steps = len(self.upsampler)
        self.halo = math.ceil(1 + 2 * 8 + 1 + sum(0.5**i for i in range(steps + 1)))
        self.peak_floats = 3 * 64 * scale**2

    @property
    def input_spec(self) -> InputSpec:
        return InputSpec(3, 1, as_floats(self.mean), as_floats(self.std))

    def forward(self, x: Tensor) -> Tensor:
        check_images(x, 3)
        features = self.head((x - self.mean) / self.std)  # [N, 64, H, W]
        features = self.fuse(self.body(features))
        enlarged: Tensor = self.tail(self.upsampler(features))  # [N, 3, scale·H, scale·W]
        return enlarged * self.std + self.mean


@register_model(task="super-resolution")
def srresnet_lesson_x2() -> LessonSRResNet:
    """The lesson's net for enlargement by 2; 779,139 parameters, no weights shipped."""
    return LessonSRResNet(2)


@register_model(task="super-resolution")
def srresnet_lesson_x4() -> LessonSRResNet:
    """The lesson's net for enlargement by 4; 926,851 parameters, no weights shipped."""
    return LessonSRResNet(4)
