"""U-Nets: the lesson's on a ResNet34, and one for any encoder.

Ronneberger et al., "U-Net: Convolutional networks for biomedical image segmentation"
(arXiv:1505.04597); fast.ai, part 2 (2018), lesson 14, notebook `carvana-unet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.layers.upsampling import check_kind, upsample_step
from zoo.registry import Weights, register_model, register_weights
from zoo.seg.encoders.encoder import make_encoder
from zoo.seg.networks.base import SegmentationModel, check_classes
from zoo.seg.networks.carvana import carvana_meta

UnetUpsampler = Literal["pixelshuffle", "nearest", "transposed", "plain"]


class LessonBlock(nn.Module):
    """Joins the enlarged deeper map and the skip, half the channels each; then ReLU, batch norm."""

    def __init__(self, inputs: int, skip: int, width: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(skip, width // 2, 1)
        self.up = nn.ConvTranspose2d(inputs, width // 2, 2, stride=2)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined = torch.cat([self.up(x), self.skip(skip)], dim=1)
        normalised: Tensor = self.norm(F.relu(joined))
        return normalised


class LessonDecoder(nn.Module):
    """One block per skip from deep to shallow, then a transposed convolution to the classes."""

    def __init__(self, channels: Sequence[int], *, width: int = 256, classes: int = 1) -> None:
        super().__init__()
        *skips, deepest = channels
        self.blocks = nn.ModuleList()
        for inputs, skip in zip([deepest, *[width] * (len(skips) - 1)], skips[::-1], strict=True):
            self.blocks.append(LessonBlock(inputs, skip, width))
        self.head = nn.ConvTranspose2d(width, classes, 2, stride=2)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        *skips, x = maps
        x = F.relu(x)
        for block, skip in zip(self.blocks, skips[::-1], strict=True):
            x = block(x, skip)
        logits: Tensor = self.head(x)
        return logits


class DecoderBlock(nn.Module):
    """Enlarges by 2, concatenates the skip if there is one, and applies two 3×3 convolutions."""

    def __init__(self, inputs: int, skip: int, width: int, upsampler: UnetUpsampler) -> None:
        super().__init__()
        self.up: nn.Module
        if upsampler == "plain":
            self.up, enlarged = nn.Upsample(scale_factor=2, mode="nearest"), inputs
        else:
            # A 1×1 kernel suffices: the 3×3 convolutions that follow see the neighbours.
            self.up, enlarged = upsample_step(upsampler, inputs, width, 2, kernel=1), width
        self.mix = nn.Sequential()
        for channels in (enlarged + skip, width):
            self.mix.extend(
                [
                    nn.Conv2d(channels, width, 3, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
            )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.up(x)
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        mixed: Tensor = self.mix(x)
        return mixed


class UnetDecoder(nn.Module):
    """Doubles the deepest map's size until it is the image's, with a skip wherever the encoder has
    a map of that stride.

    Args:
        channels, strides: of the encoder's maps; strides are increasing powers of 2.
        widths: channels after each doubling; by default 16 × the new stride, at most 256.
        upsampler: "pixelshuffle" (with ICNR), "transposed", "nearest" (then a convolution), or
            "plain": nearest alone, as in segmentation_models.pytorch.
        classes: number of maps of logits.

    Raises:
        InputError: `widths` does not hold one width for each doubling.
        OptionError: `upsampler` is unknown.
    """

    def __init__(
        self,
        channels: Sequence[int],
        strides: Sequence[int],
        *,
        widths: Sequence[int] | None,
        upsampler: UnetUpsampler,
        classes: int,
    ) -> None:
        super().__init__()
        check_kind(upsampler, get_args(UnetUpsampler))
        steps = strides[-1].bit_length() - 1
        targets = [strides[-1] >> i for i in range(1, steps + 1)]  # strides after each doubling
        widths = [min(256, 16 * stride) for stride in targets] if widths is None else list(widths)
        if len(widths) != steps:
            raise InputError(
                f"decoder_channels needs {steps} widths for this encoder, one for each doubling"
                f" from stride {strides[-1]} to 1, not {len(widths)}."
            )
        skips = dict(zip(strides[:-1], channels[:-1], strict=True))
        self.joins = [target in skips for target in targets]
        self.blocks = nn.ModuleList(
            DecoderBlock(inputs, skips.get(target, 0), width, upsampler)
            for inputs, target, width in zip([channels[-1], *widths], targets, widths, strict=False)
        )
        self.head = nn.Conv2d([channels[-1], *widths][-1], classes, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        *skips, x = maps
        for block, joins in zip(self.blocks, self.joins, strict=True):
            x = block(x, skips.pop() if joins else None)
        logits: Tensor = self.head(x)
        return logits


@register_model(task="segmentation")
def unet34(
    *, encoder_weights: str | Path | None = None, classes: int = 1, in_chans: int = 3
) -> SegmentationModel:
    """The lesson's U-Net on a ResNet34; 22,009,665 parameters.

    encoder_weights: None, "default" (torchvision's ImageNet weights, which the lesson used, from
    the Hugging Face hub) or a *.safetensors file with the names of ResNet34.
    """
    check_classes(classes)
    encoder = make_encoder("resnet34.tv_in1k", weights=encoder_weights, in_chans=in_chans)
    decoder = LessonDecoder(encoder.channels, classes=classes)
    return SegmentationModel(encoder, decoder, classes=classes)


UNET34_CARVANA = register_weights(
    Weights(
        name="unet34.carvana",
        file="unet34.carvana.safetensors",
        sha256="48c8541f0b3eccd570545734db6bc9171d64ed7df466c79f2eaca0d3d839633e",
        size=44_121_714,
        meta=carvana_meta(
            recipe="benchmarks/recipes/unet34_carvana_finer.yaml",
            start="random weights",
            options={},
            version=2,
        ),
    ),
    default=True,
)


@register_model(task="segmentation")
def dynamic_unet(
    *,
    encoder: str | nn.Module = "resnet34",
    encoder_weights: str | Path | None = None,
    cut: int | None = None,
    decoder_channels: Sequence[int] | None = None,
    upsampler: UnetUpsampler = "pixelshuffle",
    classes: int = 1,
    in_chans: int = 3,
) -> SegmentationModel:
    """A U-Net on any encoder.

    encoder, encoder_weights, cut, in_chans: see `zoo.seg.encoders.encoder.make_encoder`.
    decoder_channels, upsampler: see `UnetDecoder`.
    """
    check_classes(classes)
    pyramid = make_encoder(encoder, weights=encoder_weights, in_chans=in_chans, cut=cut)
    decoder = UnetDecoder(
        pyramid.channels,
        pyramid.strides,
        widths=decoder_channels,
        upsampler=upsampler,
        classes=classes,
    )
    return SegmentationModel(pyramid, decoder, classes=classes)


DYNAMIC_UNET_CARVANA_EFFNET_LITE0 = register_weights(
    Weights(
        name="dynamic_unet.carvana_effnet_lite0",
        file="dynamic_unet.carvana_effnet_lite0.safetensors",
        sha256="57d1a0976bbaace2778cd546be56316343d67888336522a6ba31ca60d8ede0b3",
        size=10_920_306,
        meta=carvana_meta(
            recipe="benchmarks/recipes/dynamic_unet_effnet_lite0_carvana.yaml",
            start="the ImageNet weights of tf_efficientnet_lite0 (Apache-2.0)",
            options={"encoder": "tf_efficientnet_lite0", "upsampler": "pixelshuffle"},
        ),
    ),
    default=True,
)
