"""Pretrained networks whose features serve losses and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from zoo.errors import WeightsError
from zoo.store.download import reason_of
from zoo.store.state_dict import load_weights, read_weights


def lesson_net(weights: str | Path | None = "default") -> nn.Module:
    """VGG16 with batch norm: the lesson's network.

    weights: "default" (torchvision's ImageNet weights, downloaded on first use), a *.safetensors
        file with the names of torchvision's vgg16_bn, with or without the classifier, or None
        (random).

    Raises:
        WeightsError: the weights can't be fetched or read, or belong to another network.
    """
    from torchvision import models

    net: Any = models.vgg16_bn()
    if weights == "default":
        net.load_state_dict(_download("VGG16-BN", models.VGG16_BN_Weights.IMAGENET1K_V1))
    elif weights is not None:
        load_weights(net.features, _part(weights, "features."), label=str(weights))
    return cast(nn.Module, net)


def normalised_vgg19(weights: str | Path | None) -> nn.Sequential:
    """VGG19 up to conv3_1, scaled so that every channel's mean activation is 1 (Gatys et al.).

    The first layer, a 1×1 convolution, normalises RGB in [0, 1], so `FeatureMaps` needs mean 0 and
    std 1. Names are torchvision's: `features.3` is the ReLU before the first max-pool, `features.8`
    the one before the second, `features.11` the one after conv3_1. Borders are reflected.

    weights: a *.safetensors file with these names, or None (random).

    Raises:
        WeightsError: the file can't be read, or belongs to another network.
    """
    features = nn.Sequential()
    inputs = 3
    for outputs in (64, 64, 0, 128, 128, 0, 256):
        if outputs:
            conv = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")
            features.extend([conv, nn.ReLU()])
            inputs = outputs
        else:
            features.append(nn.MaxPool2d(2))
    net = nn.Sequential()
    net.add_module("conv0", nn.Conv2d(3, 3, 1))
    net.add_module("features", features)
    if weights is not None:
        load_weights(net, read_weights(weights), label=str(weights))
    return net


def resnet50_to_layer2(weights: str | Path | None = "default") -> nn.Module:
    """ResNet50 up to `layer2`: stem at stride 2, `layer1` at 4, `layer2` at 8.

    weights: "default" (torchvision's), a *.safetensors file of the original network (MSRA's, with
        the stride in `layer2.0.conv1`) under torchvision's names, or None (random).

    Raises:
        WeightsError: the weights can't be fetched or read, or belong to another network.
    """
    from torchvision import models

    net: Any = models.resnet50()
    if weights == "default":
        net.load_state_dict(_download("ResNet50", models.ResNet50_Weights.IMAGENET1K_V1))
    for late in ("layer3", "layer4", "avgpool", "fc"):
        setattr(net, late, nn.Identity())
    if weights is not None and weights != "default":
        net.layer2[0].conv1.stride, net.layer2[0].conv2.stride = (2, 2), (1, 1)
        load_weights(net, read_weights(weights), label=str(weights))
    return cast(nn.Module, net)


def _part(file: str | Path, prefix: str) -> dict[str, Tensor]:
    """The entries of a file whose names begin with `prefix`, which is removed."""
    state = read_weights(file)
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _download(name: str, weights: Any) -> dict[str, Tensor]:
    """Torchvision's weights; code in the file is never run."""
    try:
        state: dict[str, Tensor] = weights.get_state_dict(
            progress=True, check_hash=True, weights_only=True
        )
    except Exception as error:  # from urllib, torch or pickle
        raise WeightsError(
            f"{name} could not be had from torchvision ({reason_of(error)}): fetch {weights.url}"
            " yourself, save its state dict as *.safetensors and name that file."
        ) from error
    return state
