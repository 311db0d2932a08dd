"""The lesson's augmentation: small turns, flips and changes of light, image and mask together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Turns, flips and relights every image of a batch by its own draw, its mask along with it.

    The turn and flip are one `grid_sample` over the batch, images bilinear and masks nearest, as
    torchvision's v2 transforms treat tv_tensors (`F.rotate` of an Image and a Mask gives the same
    pixels, which a test holds). Theirs take one angle a call, drawn from the global generator, and
    fill corners with black: here a batch has as many angles as images on any device at the cost of
    one call, its own generator decides all, and corners are mirrored, as in the lesson.

    Args:
        rotation: greatest angle in degrees, either way.
        flip: left to right for half of the images.
        lighting: greatest change of brightness (as a share of full range) and of contrast (as a
            factor around the image's mean).
    """

    rotation: float = 4.0
    flip: bool = True
    lighting: float = 0.05

    def __call__(
        self, images: Tensor, masks: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Float squares `[N, C, S, S]` in [0, 1] and class numbers `[N, S, S]`, to the same.

        The state of `generator` decides all.
        """

        def symmetric(limit: float) -> Tensor:
            drawn = torch.rand(len(images), generator=generator, device=generator.device)
            return (2 * drawn.to(images.device) - 1) * limit

        angle = symmetric(math.radians(self.rotation))
        mirror = torch.where(symmetric(1) < 0, -1.0, 1.0)
        if not self.flip:
            mirror = mirror.abs()
        images, masks = turn(images, masks, angle, mirror)
        shift, contrast = symmetric(self.lighting), 1 + symmetric(self.lighting)
        return relight(images, shift, contrast), masks


def turn(images: Tensor, masks: Tensor, angle: Tensor, mirror: Tensor) -> tuple[Tensor, Tensor]:
    """Turns squares counter-clockwise about their middle, then mirrors where `mirror` is -1.

    Args:
        images, masks: `[N, C, S, S]` float and `[N, S, S]` of whole numbers below 2**24.
        angle, mirror: `[N]`, in radians; 1 or -1.
    """
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = torch.stack([mirror * cos, -sin, zero, mirror * sin, cos, zero], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    labels = masks[:, None].to(images.dtype)
    labels = F.grid_sample(labels, grid, "nearest", "reflection", align_corners=False)
    return turned, labels[:, 0].to(masks.dtype)


def relight(images: Tensor, shift: Tensor, contrast: Tensor) -> Tensor:
    """`[N, C, H, W]` stretched about each image's mean, shifted, and clamped to [0, 1]."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factor = contrast.view(-1, 1, 1, 1)
    return ((images - mean) * factor + mean + shift.view(-1, 1, 1, 1)).clamp(0, 1)
