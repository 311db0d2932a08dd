"""The decoders against their definitions, restated: every map takes part, and in its place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.seg.networks.fpn import FPNDecoder
from zoo.seg.networks.unet import UnetDecoder


def maps(channels: tuple[int, ...], strides: tuple[int, ...]) -> list[Tensor]:
    """Random maps of an image of 32 × 48 pixels."""
    torch.manual_seed(0)
    sizes = [(32 // stride, 48 // stride) for stride in strides]
    return [torch.randn(2, c, *size) for c, size in zip(channels, sizes, strict=True)]


def larger(x: Tensor, mode: str = "bilinear") -> Tensor:
    return F.interpolate(x, scale_factor=2, mode=mode)


def test_the_unet_joins_each_map_where_its_stride_is_reached() -> None:
    channels, strides = (4, 6, 8), (2, 8, 16)  # none of stride 4
    decoder = UnetDecoder(
        channels, strides, widths=(8, 8, 6, 4), upsampler="nearest", classes=2
    ).eval()
    fine, middle, x = maps(channels, strides)
    for block, skip in zip(decoder.blocks, (middle, None, fine, None), strict=True):
        x = block.up[1](larger(x, "nearest"))
        x = block.mix(x if skip is None else torch.cat([x, skip], dim=1))
    torch.testing.assert_close(decoder(maps(channels, strides)), decoder.head(x))
    assert x.shape[2:] == (32, 48)


def test_the_pyramid_network_adds_from_deep_to_shallow_and_sums_its_branches() -> None:
    channels, strides = (4, 5, 6, 8), (2, 4, 8, 16)
    decoder = FPNDecoder(channels, strides, width=16, branch_width=32, classes=2).eval()
    _, fine, middle, deep = maps(channels, strides)  # finer than stride 4 takes no part
    lateral, branch = decoder.laterals, decoder.branches
    p16 = lateral[2](deep)
    p8 = lateral[1](middle) + larger(p16, "nearest")
    p4 = lateral[0](fine) + larger(p8, "nearest")
    total = branch[0].blocks[0](p4) + larger(branch[1].blocks[0](p8))
    total = total + larger(branch[2].blocks[1](larger(branch[2].blocks[0](p16))))
    expected = F.interpolate(decoder.head(total), scale_factor=4, mode="bilinear")
    torch.testing.assert_close(decoder(maps(channels, strides)), expected)
