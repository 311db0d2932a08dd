"""The lesson's augmentation: small turns, flips and changes of light, image and mask together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Rotates, flips and relights each image of a batch independently, and its mask along with it.

    Rotation and flip are one `grid_sample` over the batch, bilinear for images and nearest for
    masks. torchvision's v2 `F.rotate` gives the same pixels (tested), but its transforms draw one
    angle per call from the global generator and fill corners with black. Here each image has its
    own angle, `generator` determines all draws, and corners are mirrored, as in the lesson.

    Args:
        rotation: largest angle in degrees, in either direction.
        flip: whether to mirror half of the images left to right.
        lighting: largest change of brightness (as a share of the full range) and of contrast (as
            a factor about the image's mean).
    """

    rotation: float = 4.0
    flip: bool = True
    lighting: float = 0.05

    def __call__(
        self, images: Tensor, masks: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Float squares `[N, C, S, S]` in [0, 1] and class numbers `[N, S, S]` → the same shapes.

        The state of `generator` alone determines the result.
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
    """Rotates squares counter-clockwise about their centres, then mirrors where `mirror` is -1.

    Args:
        images, masks: float `[N, C, S, S]`, and `[N, S, S]` of integers below 2**24.
        angle: `[N]` in radians.
        mirror: `[N]` of 1 and -1.
    """
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = torch.stack([mirror * cos, -sin, zero, mirror * sin, cos, zero], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    turned = F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    labels = masks[:, None].to(images.dtype)
    labels = F.grid_sample(labels, grid, "nearest", "reflection", align_corners=False)
    return turned, labels[:, 0].to(masks.dtype)


def relight(images: Tensor, shift: Tensor, contrast: Tensor) -> Tensor:
    """Scales `[N, C, H, W]` about each image's mean, adds the shift and clamps to [0, 1]."""
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    factor = contrast.view(-1, 1, 1, 1)
    return ((images - mean) * factor + mean + shift.view(-1, 1, 1, 1)).clamp(0, 1)
