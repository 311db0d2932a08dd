"""Encoders: any network's feature maps as a pyramid with strides that are powers of 2.

encoder = make_encoder("convnext_tiny", weights="default")  # timm's names
encoder = make_encoder("torchvision:resnet34")
encoder = make_encoder(nn.Sequential(...), cut=8)           # its first 8 children
encoder = make_encoder(my_module)                           # returns a list of maps
encoder.strides, encoder.channels                           # (4, 8, 16, 32), (96, 192, 384, 768)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError, OptionError
from zoo.seg.encoders.timm_trunks import timm_trunk
from zoo.seg.encoders.torchvision_trunks import torchvision_trunk
from zoo.seg.encoders.trunks import Chain, Trunk, own_trunk
from zoo.store.download import reason_of

# Images are padded to a multiple of the first of these that the network accepts. 112 suits patches
# of 14 pixels; the network's own size, tried last, suits windows that are a fixed fraction of it.
_MULTIPLES = (32, 64, 112, 128)


class Level(NamedTuple):
    """A map of the pyramid: its index in what the trunk returns, its stride and its channels."""

    tap: int
    stride: int
    channels: int


class Encoder(nn.Module):
    """Maps images to feature maps, from shallow to deep.

    The trunk runs on a blank image at construction to find out which maps it makes. Of several maps
    with equal stride the deepest is kept. A map that isn't exactly 1/stride of the image (patches
    of 14 pixels, convolutions without padding) is resampled to that size. If all maps have one
    stride, as in a plain transformer, the last three are resampled to a pyramid (Li et al.,
    arXiv:2203.16527). If the network takes only one image size, images are resized to it.

    Input is normalised with the network's mean and std; if `in_chans` isn't 3, every channel uses
    their average over RGB.

    Shape: float `[N, in_chans, H, W]` in [0, 1], H and W multiples of `multiple` → a list of
    `[N, channels[i], H / strides[i], W / strides[i]]`.

    Attributes:
        channels, strides: of the maps; strides are increasing powers of 2.
        multiple: H and W must be multiples of it; it is a multiple of the last stride.
        resized_to: (height, width) of the only image size that the network takes, or None.

    Raises:
        InputError: the network runs on no image size tried, or returns no such maps.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: Trunk, *, in_chans: int = 3) -> None:
        super().__init__()
        self.trunk = trunk.module
        self.in_chans = in_chans
        self.channels_last = trunk.channels_last
        like = next(self.trunk.parameters(), torch.empty(0))
        self.register_buffer("mean", _per_channel(trunk.mean, in_chans, like))
        self.register_buffer("std", _per_channel(trunk.std, in_chans, like))

        self.resized_to: tuple[int, int] | None = None
        self.multiple, levels = self._measure(trunk)
        self.taps = tuple(level.tap for level in levels)
        self.strides = tuple(level.stride for level in levels)
        self.channels = tuple(level.channels for level in levels)
        if isinstance(self.trunk, Chain):  # frees the other maps early
            self.trunk.taps, self.taps = self.taps, tuple(range(len(self.taps)))

    def forward(self, x: Tensor) -> list[Tensor]:
        height, width = x.shape[-2:]
        maps = self._maps(x)
        return [
            _resample(maps[index], (height // stride, width // stride))
            for index, stride in zip(self.taps, self.strides, strict=True)
        ]

    def early_parameters(self) -> set[str]:
        """Names of the parameters that the shallower half of the maps depends on.

        In most networks these are the layers up to stride 8: in a ResNet up to `layer2`, as in
        the lesson.
        """
        parameters = dict(self.named_parameters())
        frozen = [p for p in parameters.values() if not p.requires_grad]
        with _as_in_inference(self), torch.enable_grad():
            for parameter in frozen:
                parameter.requires_grad_(True)
            image = self.mean.new_zeros(1, self.in_chans, self.multiple, 2 * self.multiple)
            maps = self(image)
            grads = torch.autograd.grad(
                maps[(len(maps) - 1) // 2].sum(), list(parameters.values()), allow_unused=True
            )
            for parameter in frozen:
                parameter.requires_grad_(False)
        return {name for name, grad in zip(parameters, grads, strict=True) if grad is not None}

    def extra_repr(self) -> str:
        return f"strides={self.strides}, channels={self.channels}, multiple={self.multiple}"

    def _maps(self, x: Tensor) -> Sequence[Tensor]:
        """All maps of the trunk at their own sizes, `[N, C, h, w]`."""
        x = (x - self.mean) / self.std
        if self.resized_to is not None:
            x = F.interpolate(x, self.resized_to, mode="bilinear", antialias=True)
        maps = self.trunk(x)
        if isinstance(maps, dict):
            maps = list(maps.values())
        if self.channels_last:
            maps = [features.permute(0, 3, 1, 2) for features in maps]
        return maps  # type: ignore[no-any-return]

    def _measure(self, trunk: Trunk) -> tuple[int, list[Level]]:
        """Find the multiple that H and W must be of, and the pyramid of the trunk's maps."""
        own = trunk.size
        multiples = [*_MULTIPLES, *([own[0]] if own and own[0] == own[1] else [])]
        reason = ""
        with _as_in_inference(self.trunk):
            for height, width in [*((m, 2 * m) for m in multiples), *([own] if own else [])]:
                self.resized_to = own if (height, width) == own else None
                image = self.mean.new_zeros(1, self.in_chans, height, width)
                try:
                    maps = self._maps(image)
                    levels = _pyramid(maps, height, width)
                    if self.resized_to is None:
                        _check_channels(maps, self._maps(image.mT))
                except Exception as error:  # a foreign network can raise anything
                    reason = reason or f"on {height} × {width} pixels: {reason_of(error)}"
                    continue
                deepest = levels[-1].stride
                return deepest if self.resized_to else math.lcm(height, deepest), levels
        raise InputError(f"{trunk.name} can't be an encoder; {reason}.")


def make_encoder(
    encoder: str | nn.Module,
    *,
    weights: str | Path | None = None,
    in_chans: int = 3,
    cut: int | None = None,
) -> Encoder:
    """Make an encoder from a network's name or from a module.

    Args:
        encoder: a timm name ("resnet34", "resnet34.tv_in1k"), "torchvision:NAME", an
            nn.Sequential, or a module that returns a list of maps `[N, C, h, w]`.
        weights: None (random), "default" (timm's from the Hugging Face hub, torchvision's
            from its site) or a *.safetensors file with the names of the whole network. With
            `in_chans` other than 3 the first layer's filters are summed (1 channel) or repeated and
            rescaled.
        in_chans: channels of the image.
        cut: how many children of an nn.Sequential belong to the encoder; all if None.

    Raises:
        UnknownNameError: there is no network of that name.
        WeightsError: the weights can't be fetched or read, or belong to another network.
        InputError: the network makes no feature maps, or `in_chans` is below 1.
        OptionError: `cut` without an nn.Sequential, or `weights` with a module or of another kind.
        MissingDependencyError: timm or torchvision is needed but not installed.
    """
    if in_chans < 1:
        raise InputError(f"in_chans is the number of channels of an image, 1 or more: {in_chans}.")
    if isinstance(encoder, nn.Module):
        if weights is not None:
            raise OptionError("encoder_weights is for encoders by name; a module has its own.")
        return Encoder(own_trunk(encoder, cut=cut), in_chans=in_chans)
    if cut is not None:
        raise OptionError(f"cut={cut} is for an nn.Sequential, not for the encoder {encoder!r}.")
    if weights == "imagenet":  # the name in segmentation_models_pytorch
        weights = "default"
    if weights not in (None, "default") and not str(weights).endswith(".safetensors"):
        raise OptionError(
            f"encoder_weights is None, 'default' or a *.safetensors file, not {str(weights)!r}."
        )
    source, _, name = encoder.rpartition(":")
    make = torchvision_trunk if source == "torchvision" else timm_trunk
    name = name if source == "torchvision" else encoder
    return Encoder(make(name, weights=weights, in_chans=in_chans), in_chans=in_chans)


def _pyramid(maps: Sequence[Tensor], height: int, width: int) -> list[Level]:
    """The maps that form a pyramid for an image of this size, from shallow to deep."""
    if not isinstance(maps, list | tuple) or not maps:
        raise InputError(f"it returned a {type(maps).__name__}, not a list of maps")
    levels: dict[int, Level] = {}
    for index, features in enumerate(maps):
        shape = list(features.shape)
        if len(shape) != 4:
            raise InputError(f"it returned {shape}, not a map [N, C, H, W]")
        down, across = math.log2(height / shape[2]), math.log2(width / shape[3])
        turned = shape[2] > 1 and abs(down - across) > 0.75  # trial images are 1:2
        if turned or round(across) < 0:
            raise InputError(f"it returned {shape}, which is no map [N, C, H, W] of that image")
        stride = 2 ** round(across)
        levels[stride] = Level(index, stride, shape[1])
    if len(levels) == 1 and len(maps) > 1:
        count = min(3, len(maps), max(1, round(math.log2(stride))))
        return [
            Level(len(maps) - 1 - i, stride >> i, maps[len(maps) - 1 - i].shape[1])
            for i in reversed(range(count))
        ]
    return sorted(levels.values(), key=lambda level: level.stride)


def _check_channels(landscape: Sequence[Tensor], portrait: Sequence[Tensor]) -> None:
    """Raise InputError for maps [N, H, W, C]: their dimension 1 changes with the image's sides."""
    for one, other in zip(landscape, portrait, strict=True):
        if one.shape[1] != other.shape[1]:
            raise InputError(f"it returned {list(one.shape)}, which is no map [N, C, H, W]")


def _resample(features: Tensor, size: tuple[int, int]) -> Tensor:
    if features.shape[-2:] == size:
        return features
    return F.interpolate(features, size, mode="bilinear")


def _per_channel(values: Sequence[float], in_chans: int, like: Tensor) -> Tensor:
    """`[in_chans, 1, 1]`: the values, or their average if their number isn't `in_chans`."""
    if len(values) != in_chans:
        values = [sum(values) / len(values)] * in_chans
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)


@contextmanager
def _as_in_inference(module: nn.Module) -> Iterator[None]:
    """Use eval mode without gradients in the block, then restore the mode of every part."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train()  # so some of timm's attention layers drop what they cached in eval mode
        for part, mode in modes.items():
            part.training = mode
