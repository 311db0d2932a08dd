"""Learned upsampling of feature maps in three ways, and the ICNR initialisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import nn

from zoo.errors import OptionError, did_you_mean

UpsamplerKind = Literal["pixelshuffle", "nearest", "transposed"]


def factorise(scale: int) -> list[int]:
    """Return the factors 2 and 3 of a scale, in the order of application; [] for 1.

    Raises:
        OptionError: `scale` is not a product of 2 and 3 (2, 3, 4, 6, 8, 9, ...).
    """
    factors, rest = [], scale
    for prime in (2, 3):
        while rest > 1 and rest % prime == 0:
            factors.append(prime)
            rest //= prime
    if scale < 1 or rest != 1:
        raise OptionError(f"scale={scale} is no product of 2 and 3, such as 1, 2, 3, 4, 6 or 8.")
    return factors


@torch.no_grad()
def icnr_(conv: nn.Conv2d, scale: int) -> None:
    """Initialise a convolution before `PixelShuffle(scale)` to be free of checkerboards.

    All filters of a scale × scale output cell become copies of the first one, bias included. The
    pair then equals a convolution and nearest-neighbour upsampling exactly, and the distribution
    of the weights is unchanged.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution" (arXiv:1707.02937).

    Raises:
        OptionError: the convolution's output channels are not a multiple of scale².
    """
    cell = scale**2
    if conv.out_channels % cell:
        raise OptionError(
            f"ICNR for scale {scale} needs output channels in multiples of {cell}, "
            f"not {conv.out_channels}."
        )
    conv.weight.copy_(conv.weight[::cell].repeat_interleave(cell, dim=0))
    if conv.bias is not None:
        conv.bias.copy_(conv.bias[::cell].repeat_interleave(cell, dim=0))


class PixelShuffleUpsample(nn.Sequential):
    """Convolution to scale² times the channels, then sub-pixel shuffle, with ICNR."""

    def __init__(self, inputs: int, outputs: int, scale: int, *, kernel: int = 3) -> None:
        conv = nn.Conv2d(inputs, outputs * scale**2, kernel, padding=kernel // 2)
        icnr_(conv, scale)
        super().__init__(conv, nn.PixelShuffle(scale))


class NearestUpsample(nn.Sequential):
    """Nearest-neighbour enlargement, then a convolution (Odena et al., Distill 2016)."""

    def __init__(self, inputs: int, outputs: int, scale: int, *, kernel: int = 3) -> None:
        super().__init__(
            nn.Upsample(scale_factor=scale, mode="nearest"),
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        )


class TransposedUpsample(nn.ConvTranspose2d):
    """Transposed convolution of stride `scale`; its kernels of scale + 2 pixels overlap."""

    def __init__(self, inputs: int, outputs: int, scale: int) -> None:
        super().__init__(inputs, outputs, scale + 2, stride=scale, padding=1)


def upsample_step(
    kind: UpsamplerKind, inputs: int, outputs: int, scale: int, *, kernel: int = 3
) -> nn.Module:
    """Return a layer that maps `[N, inputs, H, W]` to `[N, outputs, scale·H, scale·W]`.

    Args:
        kind: "pixelshuffle" (ICNR), "nearest" (then a convolution) or "transposed".
        kernel: odd side of the convolution's kernel, with "pixelshuffle" and "nearest".

    Raises:
        OptionError: unknown `kind`.
    """
    check_kind(kind)
    if kind == "pixelshuffle":
        return PixelShuffleUpsample(inputs, outputs, scale, kernel=kernel)
    if kind == "nearest":
        return NearestUpsample(inputs, outputs, scale, kernel=kernel)
    return TransposedUpsample(inputs, outputs, scale)


def check_kind(kind: str, kinds: Sequence[str] = get_args(UpsamplerKind)) -> None:
    """Raise OptionError for an unknown kind of upsampler."""
    if kind not in kinds:
        raise OptionError(
            f"Unknown upsampler {kind!r}: choose {', '.join(kinds)}.{did_you_mean(kind, kinds)}"
        )


class Upsampler(nn.Sequential):
    """Enlarges features `[N, width, H, W]` to `[N, width, scale·H, scale·W]`, factor by factor.

    Args:
        width: channels, the same at every step.
        scale: any product of 2 and 3, or 1, which leaves the features as they are.
        kind: "pixelshuffle" (ICNR), "nearest" (then a convolution) or "transposed".

    Raises:
        OptionError: unknown `kind`, or a scale with another prime factor.
    """

    def __init__(self, width: int, scale: int, kind: UpsamplerKind = "pixelshuffle") -> None:
        check_kind(kind)
        super().__init__(
            *(upsample_step(kind, width, width, factor) for factor in factorise(scale))
        )
        # Radius of an output pixel's receptive field, in input pixels. The convolution of a shuffle
        # runs before the enlargement by its factor, that of "nearest" after it.
        self.radius, grid = 0.0, 1
        for factor in factorise(scale):
            self.radius += 1 / (grid * factor if kind == "nearest" else grid)
            grid *= factor
