"""Segmentation of pictures, arrays and tensors of any size with any model that gives logits."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import InputError
from zoo.inference.device import pick_precision
from zoo.inference.inputs import check_array, check_tensor
from zoo.inference.placement import evaluating, layout, place
from zoo.pictures.cutouts import Kind, check_kind, cut_out, format_for, tint
from zoo.pictures.picture import Array, Picture, to_tensor
from zoo.sources import Name

DEFAULT_SIZE = 512  # where weights don't tell
_SOFTNESS = 2.0  # logits on either side of the threshold in which a cutout's edge is transparent
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Segmenter:
    """A segmentation model with everything decided that does not depend on the picture.

    A picture is squashed to the square that the weights were trained on, and the logits are brought
    back to the picture's size, both bilinear.

    model: a registered name ("unet34", "unet34.carvana"), a folder that `save_model` wrote,
        "hf-hub:org/repo@revision", or a module that takes `[N, 1 | 3, S, S]` and returns logits
        `[N, classes, S, S]`. Named models are loaded once. A module runs in eval mode where it is,
        or as a copy if `device` names another place, and gets its training flags back.
    threshold: in (0, 1): what is more probable is foreground; for models of one class.
    tta: average the logits with those of the mirrored picture; twice the work.
    size: side of the square; by default the one that the weights were trained on where they tell,
        else 512.
    device, precision: see `zoo.Upscaler`.

    Raises InputError for the arguments, UnknownNameError and WeightsError for the model.
    """

    def __init__(
        self,
        model: Name | nn.Module = "dynamic_unet",
        *,
        threshold: float = 0.5,
        tta: bool = False,
        device: str | torch.device = "auto",
        precision: str = "auto",
        size: int | None = None,
    ) -> None:
        if not 0 < threshold < 1:
            raise InputError(f"threshold={threshold!r} is not a probability between 0 and 1.")
        if size is not None and size < 32:
            raise InputError(f"size={size} is below 32 pixels, the least that networks take.")
        self.model, self.device = place(model, device)
        self.dtype = pick_precision(precision, self.device)
        if hasattr(self.model, "scale"):
            name = model if isinstance(model, str) else type(model).__name__
            raise InputError(f"{name} is no segmentation model: it enlarges pictures.")
        channels = getattr(self.model, "in_chans", 3)
        if channels not in (1, 3):
            raise InputError(f"Pictures have 1 or 3 channels; this model takes {channels}.")
        self.channels = channels
        self.size = size or getattr(self.model, "image_size", None) or DEFAULT_SIZE
        self.threshold = math.log(threshold / (1 - threshold))  # of a logit
        self.tta = tta

    def picture(self, picture: Picture, kind: Kind = "mask") -> Picture:
        """Segment a picture.

        "mask": grey 8 bits, 0 and 255, or class numbers where the model has several; as PNG, unless
            the picture's own format is lossless.
        "overlay": the picture with the object tinted; profile, EXIF, depth and format stay.
        "cutout": the picture, transparent around the object (around every class but 0), with a soft
            edge; in PNG where the picture's own format holds no transparency.
        """
        check_kind(kind)
        logits = self.logits(picture.pixels)
        if kind == "cutout":
            return cut_out(picture, self._opacity(logits))
        if len(logits) > 256:
            raise InputError(
                f"A mask of 8 bits holds 256 classes, not {len(logits)}; segment a tensor instead."
            )
        classes = self._classes(logits).cpu().numpy().astype(np.uint8)
        if kind == "overlay":
            return tint(picture, classes)
        levels = classes * 255 if len(logits) == 1 else classes
        return Picture(levels[..., None], format=format_for("mask", picture.format))

    def array(self, array: Array) -> Array:
        """Mask `[H, W]` uint8, 0 and 255 or class numbers, of `[H, W]` (grey) or
        `[H, W, 1 | 3 | 4]` (grey, RGB, RGBA), uint8 or uint16.
        """
        channels = check_array(array)
        planes = array.reshape(*array.shape[:2], channels)[..., : 1 if channels == 1 else 3]
        return self.picture(Picture(planes)).pixels[..., 0]

    def tensor(self, tensor: Tensor) -> Tensor:
        """Mask `[1, H, W]` or `[N, 1, H, W]`, of the input's dtype on its device, 0 and 1 or class
        numbers, of `[C, H, W]` or `[N, C, H, W]` in [0, 1], C = 1 or 3.
        """
        check_tensor(tensor)
        images = tensor.detach() if tensor.ndim == 4 else tensor.detach()[None]
        masks = torch.stack([self._classes(self._logits(image.float())) for image in images])
        masks = masks[:, None].to(tensor.device, tensor.dtype)
        return masks if tensor.ndim == 4 else masks[0]

    def logits(self, pixels: Array) -> Tensor:
        """`[classes, H, W]` float32 of `[H, W, 1 | 3]` uint8 or uint16."""
        return self._logits(to_tensor(pixels))

    def _logits(self, image: Tensor) -> Tensor:
        """`[1 | 3, H, W]` in [0, 1] to `[classes, H, W]`, grey as RGB with equal channels, or
        colours as their luma for a model that takes grey.
        """
        image = image.to(self.device)[None]
        height, width = image.shape[2:]
        if image.shape[1] > self.channels:
            image = (image * image.new_tensor(_LUMA).view(3, 1, 1)).sum(1, keepdim=True)
        square = _resize(image, (self.size, self.size)).expand(-1, self.channels, -1, -1)
        square = square.contiguous(memory_format=layout(self.device))
        with (
            torch.inference_mode(),
            evaluating(self.model),
            torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32),
        ):
            logits = cast(Tensor, self.model(square)).float()
            if self.tta:
                logits = (logits + self.model(square.flip(3)).float().flip(3)) / 2
        return _resize(logits, (height, width))[0]

    def _classes(self, logits: Tensor) -> Tensor:
        """Class numbers `[H, W]`."""
        return logits.argmax(0) if len(logits) > 1 else (logits[0] > self.threshold).long()

    def _opacity(self, logits: Tensor) -> Array:
        """`[H, W]` float32 in [0, 1]: 0.5 on the edge of the object."""
        edge = logits[0] - self.threshold
        if len(logits) > 1:
            edge = logits[1:].logsumexp(0) - logits[0]
        opacity: Array = (edge / (2 * _SOFTNESS) + 0.5).clamp(0, 1).cpu().numpy()
        return opacity


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, the triangle widened where it shrinks, as training data were resized."""
    if x.shape[2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", antialias=True)
