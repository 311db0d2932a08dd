"""A feature pyramid network with the segmentation branch of Panoptic FPN.

Lin et al., "Feature pyramid networks for object detection" (arXiv:1612.03144); Kirillov et al.,
"Panoptic feature pyramid networks" (arXiv:1901.02446).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from zoo.registry import Weights, register_model, register_weights
from zoo.seg.encoders.encoder import make_encoder
from zoo.seg.networks.base import SegmentationModel, check_classes
from zoo.seg.networks.carvana import carvana_meta


class Branch(nn.Module):
    """Enlarges a map of the pyramid to the finest stride: `doublings` × [3×3 convolution, group
    norm, ReLU, enlarge by 2]; with 0 doublings, one such block without the enlargement.
    """

    def __init__(self, inputs: int, width: int, *, doublings: int) -> None:
        super().__init__()
        self.doublings = doublings
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs if i == 0 else width, width, 3, padding=1, bias=False),
                nn.GroupNorm(32, width),
                nn.ReLU(inplace=True),
            )
            for i in range(max(1, doublings))
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
            if self.doublings:
                x = enlarge(x, 2)
        return x


def enlarge(x: Tensor, scale: int) -> Tensor:
    return F.interpolate(x, (scale * x.shape[2], scale * x.shape[3]), mode="bilinear")


class FPNDecoder(nn.Module):
    """A top-down pyramid, a `Branch` for each of its maps, and a 1×1 convolution of their sum.

    It uses the encoder's maps of stride 4 or more and enlarges the logits from stride 4. (If all
    strides are smaller, the deepest takes the place of 4.)

    Shape: maps `[N, channels[i], H / strides[i], W / strides[i]]` → logits `[N, classes, H, W]`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        width: int = 256,
        branch_width: int = 128,
        classes: int = 1,
    ) -> None:
        super().__init__()
        self.finest = min(4, strides[-1])
        self.first = sum(stride < self.finest for stride in strides)  # maps left out
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels[self.first :])
        self.branches = nn.ModuleList(
            Branch(width, branch_width, doublings=(stride // self.finest).bit_length() - 1)
            for stride in strides[self.first :]
        )
        self.head = nn.Conv2d(branch_width, classes, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x: Tensor | None = None
        total: Tensor | None = None
        levels = zip(maps[self.first :], self.laterals, self.branches, strict=True)
        for features, lateral, branch in reversed(list(levels)):
            across = lateral(features)
            x = across if x is None else across + F.interpolate(x, features.shape[-2:])
            total = branch(x) if total is None else total + branch(x)
        return enlarge(self.head(total), self.finest)


@register_model(task="segmentation")
def fpn(
    *,
    encoder: str | nn.Module = "resnet34",
    encoder_weights: str | Path | None = None,
    cut: int | None = None,
    classes: int = 1,
    in_chans: int = 3,
) -> SegmentationModel:
    """A feature pyramid network on any encoder.

    encoder, encoder_weights, cut, in_chans: see `zoo.seg.encoders.encoder.make_encoder`.
    """
    check_classes(classes)
    pyramid = make_encoder(encoder, weights=encoder_weights, in_chans=in_chans, cut=cut)
    decoder = FPNDecoder(pyramid.channels, pyramid.strides, classes=classes)
    return SegmentationModel(pyramid, decoder, classes=classes)


FPN_CARVANA_EFFNET_LITE0 = register_weights(
    Weights(
        name="fpn.carvana_effnet_lite0",
        file="fpn.carvana_effnet_lite0.safetensors",
        sha256="266b17dfbfd70227f3db1f95cc3c8bdb4c8e987d200ae0eb8acb5e3cb4ae0ddc",
        size=9_612_810,
        meta=carvana_meta(
            recipe="benchmarks/recipes/fpn_effnet_lite0_carvana.yaml",
            start="the ImageNet weights of tf_efficientnet_lite0 (Apache-2.0)",
            options={"encoder": "tf_efficientnet_lite0"},
        ),
    ),
    default=True,
)
