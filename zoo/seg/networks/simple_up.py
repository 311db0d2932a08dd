"""The lesson's first segmentation net: a ResNet34 and transposed convolutions, without skips.

fast.ai, "Cutting edge deep learning for coders", part 2 (2018), lesson 14, notebook `carvana`.
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


class SimpleUp(nn.Module):
    """Enlarges the deepest map by 32: four times [transposed convolution, ReLU, batch norm], then a
    transposed convolution to the classes.
    """

    def __init__(self, inputs: int, *, width: int = 256, classes: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        for channels in (inputs, width, width, width):
            self.layers.extend(
                [nn.ConvTranspose2d(channels, width, 2, stride=2), nn.ReLU(), nn.BatchNorm2d(width)]
            )
        self.head = nn.ConvTranspose2d(width, classes, 2, stride=2)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.head(self.layers(F.relu(maps[-1])))
        return logits


@register_model(task="segmentation")
def simple_up34(
    *, encoder_weights: str | Path | None = None, classes: int = 1, in_chans: int = 3
) -> SegmentationModel:
    """The lesson's net without skips on a ResNet34; 22,599,489 parameters.

    encoder_weights: None, "default" (torchvision's ImageNet weights, which the lesson used, from
    the Hugging Face hub) or a *.safetensors file with the names of ResNet34.
    """
    check_classes(classes)
    encoder = make_encoder("resnet34.tv_in1k", weights=encoder_weights, in_chans=in_chans)
    decoder = SimpleUp(encoder.channels[-1], classes=classes)
    return SegmentationModel(encoder, decoder, classes=classes)


SIMPLE_UP34_CARVANA = register_weights(
    Weights(
        name="simple_up34.carvana",
        file="simple_up34.carvana.safetensors",
        sha256="158d8246faaa1d4f2125d625d99abfe0ebe3b1e914d5b021fffb8b6b9cad6588",
        size=45_300_498,
        meta=carvana_meta(
            recipe="benchmarks/recipes/simple_up34_carvana.yaml",
            start="that of unet34.carvana, which had begun with random weights",
            options={},
        ),
    ),
    default=True,
)
